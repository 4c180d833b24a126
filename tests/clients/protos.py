"""Services made up for a test: descriptors of methods with any rule, as protoc would have made them."""

from authapi.v1 import rule_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, wrappers_pb2
from google.protobuf.descriptor import FileDescriptor

SERVICE = "shop.v1.Shop"
MESSAGE = wrappers_pb2.BytesValue
"""Request and response of every method."""


def service_file(**rules: rule_pb2.Rule | None) -> FileDescriptor:
    """Return the descriptor of a file with one service, whose methods carry these rules. None is no rule at all."""
    file = descriptor_pb2.FileDescriptorProto(
        name="shop.proto",
        package="shop.v1",
        syntax="proto3",
        dependency=["authapi/v1/rule.proto", "google/protobuf/wrappers.proto"],
    )
    service = file.service.add(name="Shop")
    for name, rule in rules.items():
        method = service.method.add(
            name=name, input_type=".google.protobuf.BytesValue", output_type=".google.protobuf.BytesValue"
        )
        if rule is not None:
            method.options.Extensions[rule_pb2.rule].CopyFrom(rule)
    pool = descriptor_pool.DescriptorPool()
    for known in (
        descriptor_pb2.DESCRIPTOR,
        rule_pb2.DESCRIPTOR.dependencies[1],
        wrappers_pb2.DESCRIPTOR,
        rule_pb2.DESCRIPTOR,
    ):
        pool.AddSerializedFile(known.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return pool.FindFileByName("shop.proto")
