"""grpc.reflection, in both of its versions: v1, which today's tools ask first, and v1alpha, which older ones know.

Their messages are the same but for the package, so grpcio-reflection's servicer of v1alpha answers for both.
"""

from collections.abc import Iterable

import grpc
from grpc_reflection.v1alpha import reflection as v1alpha
from grpc_reflection.v1alpha import reflection_pb2 as api

V1 = "grpc.reflection.v1.ServerReflection"


def serve(services: Iterable[str], server: grpc.Server) -> None:
    """Let the server describe these services, and reflection itself."""
    names = (*services, v1alpha.SERVICE_NAME)
    v1alpha.enable_server_reflection(names, server)
    handler = grpc.stream_stream_rpc_method_handler(
        v1alpha.ReflectionServicer(names).ServerReflectionInfo,
        request_deserializer=api.ServerReflectionRequest.FromString,
        response_serializer=api.ServerReflectionResponse.SerializeToString,
    )
    server.add_registered_method_handlers(V1, {"ServerReflectionInfo": handler})
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(V1, {"ServerReflectionInfo": handler}),))
