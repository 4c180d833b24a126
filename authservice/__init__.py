"""The authentication service of a company's internal microservices."""

import sys

# structlog loads rich wherever that is installed, to draw tracebacks. None are drawn here, and it takes 4 MB in each
# process. `cli.printing` lets it be found again, for tables.
sys.modules.setdefault("rich", None)  # type: ignore[arg-type]  # Python's word for what is not to be found
