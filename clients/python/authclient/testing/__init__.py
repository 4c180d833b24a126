"""Testing a service's authorization without running anything.

    pytest_plugins = ["authclient.testing.fixtures"]

    def test_only_support_cancels(auth_issuer, auth_trust):
        server = grpc.server(pool, interceptors=[AuthInterceptor(auth_trust, orders_pb2.DESCRIPTOR)])
        ...
        token = auth_issuer.token(roles=["support"])
        stub.CancelOrder(request, metadata=auth_issuer.metadata(token))

With grpcio-testing, where there are no interceptors, `guarded(servicer, …)` takes the interceptor's place.
"""

from authclient.testing.issuer import Clock, Issuer
from authclient.testing.local_trust import LocalTrust
from authclient.testing.servicers import guarded

__all__ = ["Clock", "Issuer", "LocalTrust", "guarded"]
