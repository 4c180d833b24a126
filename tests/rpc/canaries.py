"""Calls full of canaries: every field with text of every RPC, and whatever secret goes over the wire."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import grpc
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from tests.contract import FILES, SERVED, fields, is_secret, is_text, path_of, request_of, response_of, secrets_in
from tests.observed import Refusal

UNARY = [method for method in SERVED if not method.server_streaming]
SECRET_FIELDS = {
    field.full_name
    for method in SERVED
    for message in (method.input_type, method.output_type)
    for field in fields(message)
    if is_secret(field)
}
"""The full names of all fields of served RPCs that hold a secret."""
BESIDE_REQUESTS = ("bearer-canary", "cookie-canary")
METADATA = (("authorization", f"Bearer {BESIDE_REQUESTS[0]}"), ("cookie", BESIDE_REQUESTS[1]))


class ObservedCalls(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Notes which methods are called, and the secrets in what is sent and answered.

    Attributes:
        shown: the fields with a secret that were in calls that were answered, or in their answers.
    """

    def __init__(self) -> None:
        self.methods: set[str] = set()
        self.secrets: set[str] = set()
        self.shown: set[str] = set()

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """Note one call."""
        self.methods.add(details.method)
        call = continuation(details, request)
        answered = call.code() is grpc.StatusCode.OK
        for message in [request, call.result()] if answered else [request]:
            for field, secret in secrets_in(message):
                # A picture is looked for by its bytes, each as one character.
                self.secrets.add(secret.decode("latin-1") if isinstance(secret, bytes) else secret)
                self.shown |= {field.full_name} if answered else set()
        return call

    def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """Note that a stream was opened."""
        self.methods.add(details.method)
        return continuation(details, request)


def fill(message: Message) -> Iterator[str]:
    """Put a text into each field that takes one which says what field that is, and yield these texts."""
    for field in cast(Descriptor, message.DESCRIPTOR).fields:
        if is_text(field):
            canary = f"{field.name.replace('_', '-')}-canary"
            value = canary.encode() if field.type == FieldDescriptor.TYPE_BYTES else canary
            if field.is_repeated:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)
            yield canary
        elif field.message_type and field.message_type.file in FILES:
            inner = getattr(message, field.name)
            yield from fill(inner.add() if field.is_repeated else inner)


def call_with_canaries(channel: grpc.Channel, method: MethodDescriptor) -> tuple[list[str], str]:
    """Make a call in which every text is a canary. Returns these, and what a refusal says."""
    request = request_of(method)()
    canaries = [*fill(request), *BESIDE_REQUESTS]
    call: Any = channel.unary_unary(
        path_of(method),
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=response_of(method).FromString,
    )
    try:
        call(request, metadata=METADATA)
    except grpc.RpcError as error:
        refused = Refusal(error)
        return canaries, refused.message + str(refused.details)
    return canaries, ""
