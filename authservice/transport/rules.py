"""Who may call a method, read from the `(authapi.v1.rule)` option in its .proto."""

from authapi.v1 import rule_pb2
from google.protobuf import descriptor_pool

EXEMPT_SERVICES = frozenset(
    {
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }
)
"""Services whose .proto is not ours. Reflection is served only where a setting says so."""


def has_rule(method: str) -> bool:
    """Tell whether `/package.Service/Method` carries a rule that lets somebody call it."""
    service_name, _, method_name = method.removeprefix("/").partition("/")
    try:
        service = descriptor_pool.Default().FindServiceByName(service_name)
    except KeyError:
        return False
    found = service.methods_by_name.get(method_name)
    return found is not None and found.GetOptions().Extensions[rule_pb2.rule].public
