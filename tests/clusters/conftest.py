"""What kills a node needs another one."""

import pytest

from tests.clusters.cluster import NODES


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cluster: needs more than one node")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where there is one node, leave out what needs more."""
    beside = [item for item in items if item.get_closest_marker("cluster") and NODES == 1]
    config.hook.pytest_deselected(items=beside)
    items[:] = [item for item in items if item not in beside]
