"""`python -m authclient`."""

import sys

from authclient.command import main

sys.exit(main())
