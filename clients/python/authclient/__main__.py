"""`python -m authclient`."""

import sys

from authclient.lint import main

sys.exit(main())
