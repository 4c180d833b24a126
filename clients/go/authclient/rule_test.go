package authclient

import (
	"errors"
	"testing"

	authapi "authservice/clients/go/authapi/v1"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// fileOf describes the service x.v1.X, whose method M has options in the bytes in which they stand in a descriptor.
func fileOf(t *testing.T, name string, options []byte) protoreflect.FileDescriptor {
	t.Helper()
	text := ".google.protobuf.StringValue"
	method := &descriptorpb.MethodDescriptorProto{
		Name: proto.String("M"), InputType: &text, OutputType: &text, Options: &descriptorpb.MethodOptions{},
	}
	if err := proto.Unmarshal(options, method.Options); err != nil {
		t.Fatal(err)
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: &name, Package: proto.String("x.v1"), Syntax: proto.String("proto3"),
		Dependency: []string{"google/protobuf/wrappers.proto"},
		Service: []*descriptorpb.ServiceDescriptorProto{
			{Name: proto.String("X"), Method: []*descriptorpb.MethodDescriptorProto{method}},
		},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func ruleOption(rule ...byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, authapi.E_Rule.TypeDescriptor().Number(), protowire.BytesType), rule)
}

func TestARuleWithWhatIsNotKnownHereIsRejected(t *testing.T) {
	varint, bytes, fixed := func(field byte) byte { return field << 3 }, func(field byte) byte { return field<<3 | 2 }, byte(5)
	authenticated := []byte{varint(2), 1}
	for name, c := range map[string]struct {
		rule     []byte
		accepted bool
	}{
		"all is known":                   {[]byte{varint(4), 1, bytes(6), 2, varint(1), 7}, true},
		"the first reserved field":       {[]byte{varint(8), 1}, false},
		"the last reserved field":        {[]byte{19<<3&0x7f | 0x80, 1, 0}, false},
		"a field beyond the reserved":    {[]byte{bytes(15), 0}, false},
		"mfa as bytes":                   {[]byte{bytes(4), 0}, false},
		"mfa as a fixed number":          {[]byte{4<<3 | fixed, 1, 0, 0, 0}, false},
		"max_auth_age as a number":       {[]byte{varint(5), 60}, false},
		"max_staleness as a number":      {[]byte{varint(6), 0}, false},
		"any_role as a number":           {[]byte{varint(3), 7}, false},
		"an unknown field in a Duration": {[]byte{bytes(5), 4, varint(1), 60, varint(3), 1}, false},
		"only that in max_staleness":     {[]byte{bytes(6), 2, varint(3), 1}, false},
		"seconds of a wrong type":        {[]byte{bytes(6), 2, bytes(1), 0}, false},
	} {
		t.Run(name, func(t *testing.T) {
			policy := newPolicy()
			policy.addFile(fileOf(t, "x.proto", ruleOption(append(authenticated, c.rule...)...)))
			if (policy.rules["/x.v1.X/M"] != nil) != c.accepted {
				t.Errorf("accepted should be %v: %v", c.accepted, policy.faults)
			}
		})
	}
	public := newPolicy()
	public.addFile(fileOf(t, "x.proto", ruleOption(varint(1), 1, varint(8), 1)))
	asNumber := newPolicy()
	asNumber.addFile(fileOf(t, "x.proto", protowire.AppendVarint(protowire.AppendTag(nil, 50051, protowire.VarintType), 1)))
	if len(public.rules)+len(asNumber.rules) > 0 {
		t.Errorf("accepted: %v, %v", public.rules, asNumber.rules)
	}
}

func TestAMethodThatIsDescribedInTwoWaysIsRefusedToEverybody(t *testing.T) {
	strict, lax := ruleOption(2<<3, 1, 4<<3, 1), ruleOption(1<<3, 1)
	for name, c := range map[string]struct {
		files    [][]byte
		accepted bool
	}{
		"one way, twice":      {[][]byte{strict, strict}, true},
		"two ways":            {[][]byte{strict, lax}, false},
		"two ways, one twice": {[][]byte{lax, strict, lax}, false},
		"once without a rule": {[][]byte{nil, lax}, false},
	} {
		t.Run(name, func(t *testing.T) {
			policy := newPolicy()
			for i, options := range c.files {
				policy.addFile(fileOf(t, string(rune('a'+i))+".proto", options))
			}
			if (policy.rules["/x.v1.X/M"] != nil) != c.accepted {
				t.Errorf("accepted should be %v", c.accepted)
			}
			if !c.accepted && !errors.Is(policy.faults["/x.v1.X/M"], errDescribedTwice) {
				t.Errorf("rejected for: %v", policy.faults)
			}
		})
	}
}

func TestOnlyTheMethodsOfHealthAndReflectionNeedNoRule(t *testing.T) {
	for _, method := range []string{
		"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/List", "/grpc.health.v1.Health/Watch",
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
	} {
		if !isExempt(method) {
			t.Errorf("%s needs a rule", method)
		}
	}
	for _, method := range []string{
		"/grpc.health.v1.Health/Reset", "/grpc.health.v1.Health/check", "/grpc.health.v1.Health/Check/", "grpc.health.v1.Health/Check",
		"/grpc.health.v1.HealthX/Check", "/x/grpc.health.v1.Health/Check", "/grpc.health.v1.health/Check", "/grpc.health.v1.Health/",
		"/grpc.reflection.v1.ServerReflection/Other", "/grpc.reflection.v1beta.ServerReflection/ServerReflectionInfo",
	} {
		if isExempt(method) {
			t.Errorf("%s is let through", method)
		}
	}
}
