"""The contract as its descriptors tell it: its RPCs, and the text in their messages, secret or not."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

ROOT = Path(__file__).parents[1]
FILES: list[FileDescriptor] = [
    importlib.import_module(f"authapi.v1.{proto.stem}_pb2").DESCRIPTOR
    for proto in sorted((ROOT / "protos/authapi/v1").glob("*.proto"))
]
OF_OTHERS = {"StreamService"}
"""What is not served here: every guarded service has its own."""
ALL: list[MethodDescriptor] = [
    method for file in FILES for service in file.services_by_name.values() for method in service.methods
]
SECRET = {
    "password",
    "old_password",
    "new_password",
    "idempotency_key",
    "access_token",
    "refresh_token",
    "token",
    "invitation_token",
    "code",
    "challenge_token",
    "recovery_codes",
    "secret",
    "uri",
    "qr_png",
    "qr_svg",
    "passkey_json",
    "credential_json",
    "ceremony_token",
}
"""Fields whose text nobody but the caller may see."""
OPEN = {
    "user_id",
    "user_name",
    "user_name_or_email",
    "email",
    "new_email",
    "client_label",
    "session_id",
    "roles",
    "auth_methods",
    "kid",
    "alg",
    "public_key",
    "history",
    "stream_id",
    "network",
    "problem",
    "description",
    "advice",
    "display_name",
    "locale",
    "json",
    "name",
    "passkey_id",
    "options_json",
    "passkey_options_json",
}
"""Fields with text that is no secret. One that is in neither fails a test."""
SERVED = [method for method in ALL if method.containing_service.name not in OF_OTHERS]


def path_of(method: MethodDescriptor) -> str:
    """Return the name of a method as gRPC has it."""
    return f"/{method.containing_service.full_name}/{method.name}"


def snake_case(name: str) -> str:
    """Return the name of an RPC as its story has it."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def request_of(method: MethodDescriptor) -> type[Message]:
    """Return the class of a method's request."""
    return GetMessageClass(method.input_type)


def response_of(method: MethodDescriptor) -> type[Message]:
    """Return the class of a method's response."""
    return GetMessageClass(method.output_type)


def is_text(field: FieldDescriptor) -> bool:
    """Tell whether a field holds text or bytes."""
    return field.type in {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}


def is_secret(field: FieldDescriptor) -> bool:
    """Tell whether a field holds a secret."""
    return field.name in SECRET


def fields(message: Descriptor) -> Iterator[FieldDescriptor]:
    """Yield the fields of a message of the contract, and of those in it."""
    for field in message.fields:
        yield field
        if field.message_type and field.message_type.file in FILES:
            yield from fields(field.message_type)


def secrets_in(message: Message) -> Iterator[tuple[FieldDescriptor, Any]]:
    """Yield each secret that a message holds, with its field."""
    for field, value in message.ListFields():
        for each in value if field.is_repeated else [value]:
            if is_secret(field):
                yield field, each
            elif field.message_type:
                yield from secrets_in(each)
