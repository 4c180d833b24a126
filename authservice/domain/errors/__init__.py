"""Every condition that a caller can act on, one class each, by area.

Use cases raise these and the transport maps each to a status and a reason in one table. Anything else that is raised is
a fault of the service, and its text never reaches the caller.
"""

from authservice.domain.errors.auth import *
from authservice.domain.errors.mail import *
from authservice.domain.errors.passkeys import *
from authservice.domain.errors.roots import *
from authservice.domain.errors.second_factor import *
from authservice.domain.errors.trust import *
