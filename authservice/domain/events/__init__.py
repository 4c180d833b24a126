"""Every audit event, one class each, by area.

Stories record these (`ports.Audit`), and each is one line of the log: docs/operations.md has the table of them.
"""

from authservice.domain.events.account import *
from authservice.domain.events.admin import *
from authservice.domain.events.auth import *
from authservice.domain.events.mail import *
from authservice.domain.events.passkeys import *
from authservice.domain.events.roots import *
from authservice.domain.events.second_factor import *
from authservice.domain.events.trust import *
