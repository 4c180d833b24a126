"""What is printed when the server is up."""

import sys
from pathlib import Path

from authservice.config import Settings


def greeting(address: str, settings: Settings) -> str:
    """Return what is printed when the server is up: calls to paste."""
    programs = Path(sys.executable).parent
    programs = programs.relative_to(Path.cwd()) if programs.is_relative_to(Path.cwd()) else programs
    grpcurl = programs / "grpcurl" if (programs / "grpcurl").exists() else Path("grpcurl")
    data = f"The data is in {settings.database_place}."
    if settings.tls_cert_file:
        return f"authservice serves on {address} with TLS. Stop it with Ctrl-C.\n{data}"
    return f"""authservice serves on {address}. Stop it with Ctrl-C.
{data}

Register a user, from another terminal in this folder:

{grpcurl} -plaintext -d @ {address} authapi.v1.AuthService/Register <<'EOF'
{{"user_name": "ada", "email": "ada@example.com", "password": "quiet copper lantern 47 rivers"}}
EOF

Log in and ask who is calling, from Python:

{programs / "python"} - <<'EOF'
import grpc; from authapi.v1 import auth_service_pb2 as api, auth_service_pb2_grpc as rpc
auth = rpc.AuthServiceStub(grpc.insecure_channel("{address}", [("grpc.enable_http_proxy", 0)]))
tokens = auth.Login(api.LoginRequest(user_name_or_email="ada", password="quiet copper lantern 47 rivers")).tokens
print(auth.Verify(api.VerifyRequest(access_token=tokens.access_token)).identity)
EOF"""
