"""What use cases need from the outside, as narrow interfaces, by area.

Stores are reached through a Transaction and live as long as it does; everything else lives as long as the process and
is shared between threads. Every method may raise StorageUnavailable where it touches the database.
"""

from authservice.ports.auth import *
from authservice.ports.database import *
from authservice.ports.mail import *
from authservice.ports.passkeys import *
from authservice.ports.second_factor import *
from authservice.ports.surroundings import *
from authservice.ports.trust import *
