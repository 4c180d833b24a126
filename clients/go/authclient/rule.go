package authclient

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	authapi "authservice/clients/go/authapi/v1"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// exempt methods are of services whose .proto has no rules, and are let through by name. Whatever else is called by the name
// of such a service needs a rule.
var exempt = []string{
	"/grpc.health.v1.Health/Check",
	"/grpc.health.v1.Health/List",
	"/grpc.health.v1.Health/Watch",
	"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
	"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
}

var errDescribedTwice = errors.New("it is described twice, in two files that define the same service")

var roleName = regexp.MustCompile(`^[a-z][a-z0-9._-]{0,63}$`)

// rule is an authapi.v1.Rule that makes sense.
type rule struct {
	public       bool
	anyRole      []string
	mfa          bool
	maxAuthAge   time.Duration  // 0: any
	maxStaleness *time.Duration // nil: the setting of the guard
	observe      bool
}

// judgesWhatChanges tells whether a rule asks for what may change about a user while their session lives: roles, or a second
// factor.
func (r *rule) judgesWhatChanges() bool { return len(r.anyRole) > 0 || r.mfa }

// Policy holds who may call each method, as its .proto says. Immutable.
type Policy struct {
	rules  map[string]*rule
	faults map[string]error
	read   map[string]*descriptorpb.MethodDescriptorProto
}

func newPolicy() *Policy {
	return &Policy{
		rules: map[string]*rule{}, faults: map[string]error{}, read: map[string]*descriptorpb.MethodDescriptorProto{},
	}
}

// ReadPolicy reads the rule of every method of files, usually protoregistry.GlobalFiles: every .proto whose generated code
// is part of the program.
func ReadPolicy(files *protoregistry.Files) *Policy {
	policy := newPolicy()
	files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		policy.addFile(file)
		return true
	})
	return policy
}

func (p *Policy) addFile(file protoreflect.FileDescriptor) {
	for i := range file.Services().Len() {
		service := file.Services().Get(i)
		for j := range service.Methods().Len() {
			method := service.Methods().Get(j)
			p.add(fmt.Sprintf("/%s/%s", service.FullName(), method.Name()), method)
		}
	}
}

func (p *Policy) add(name string, method protoreflect.MethodDescriptor) {
	described := protodesc.ToMethodDescriptorProto(method)
	if before := p.read[name]; before != nil {
		// Only with GOLANG_PROTOBUF_REGISTRATION_CONFLICT does a registry hold two such files. Where they differ, either may be
		// the one that the server goes by.
		if !proto.Equal(before, described) {
			delete(p.rules, name)
			p.faults[name] = errDescribedTwice
		}
		return
	}
	p.read[name] = described
	var message *authapi.Rule
	if proto.HasExtension(method.Options(), authapi.E_Rule) {
		message = proto.GetExtension(method.Options(), authapi.E_Rule).(*authapi.Rule)
	}
	rule, err := readRule(message)
	if err != nil {
		p.faults[name] = err
		return
	}
	p.rules[name] = rule
}

// Check returns an error that names every method of server which is refused to everybody because its rule is missing or
// bad. Call it after the services are registered, and do not start if it complains.
func (p *Policy) Check(server *grpc.Server) error {
	var complaints []error
	for service, info := range server.GetServiceInfo() {
		for _, method := range info.Methods {
			name := "/" + service + "/" + method.Name
			if isExempt(name) || p.rules[name] != nil {
				continue
			}
			complaints = append(complaints, p.fault(name))
		}
	}
	slices.SortFunc(complaints, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(complaints...)
}

// fault says why a method is refused to everybody.
func (p *Policy) fault(name string) error {
	if fault := p.faults[name]; fault != nil {
		return fmt.Errorf("%s: %w", name, fault)
	}
	return fmt.Errorf("%s: its .proto is not among those that were read", name)
}

func isExempt(fullMethod string) bool { return slices.Contains(exempt, fullMethod) }

// readRule says what is wrong with a rule that is missing, contradicts itself or asks for what this version does not know.
func readRule(message *authapi.Rule) (*rule, error) {
	if message == nil {
		return nil, errors.New("it has no rule")
	}
	r := &rule{
		public:     message.GetPublic(),
		anyRole:    message.GetAnyRole(),
		mfa:        message.GetMfa(),
		maxAuthAge: message.GetMaxAuthAge().AsDuration(),
		observe:    message.GetObserve(),
	}
	if message.MaxStaleness != nil {
		staleness := message.MaxStaleness.AsDuration()
		r.maxStaleness = &staleness
	}
	return r, checkRule(message)
}

func checkRule(message *authapi.Rule) error {
	who := 0
	for _, isSet := range []bool{message.GetPublic(), message.GetAuthenticated(), len(message.GetAnyRole()) > 0} {
		if isSet {
			who++
		}
	}
	narrows := message.GetMfa() || message.GetObserve() || message.MaxAuthAge != nil || message.MaxStaleness != nil
	switch {
	case hasUnknown(message.ProtoReflect()):
		return errors.New("its rule has a field that this version does not know, and may be stricter than it looks")
	case who != 1:
		return errors.New("exactly one of public, authenticated and any_role has to be set")
	case message.GetPublic() && narrows:
		return errors.New("nothing can stand beside public")
	case message.MaxAuthAge != nil && !isPositiveSeconds(message.MaxAuthAge):
		return errors.New("max_auth_age has to be positive and in whole seconds")
	case message.MaxStaleness != nil && (!message.MaxStaleness.IsValid() || message.MaxStaleness.AsDuration() < 0):
		return errors.New("max_staleness must not be negative")
	}
	for i, role := range message.GetAnyRole() {
		if !roleName.MatchString(role) {
			return fmt.Errorf("%q is no role name", role)
		}
		if slices.Contains(message.GetAnyRole()[:i], role) {
			return fmt.Errorf("the role %q stands twice", role)
		}
	}
	return nil
}

// hasUnknown tells whether a message, or one inside it, has something that this version does not know. A known field of a
// wrong wire type is unknown, too.
func hasUnknown(message protoreflect.Message) bool {
	found := len(message.GetUnknown()) > 0
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		found = found || field.Message() != nil && field.Cardinality() != protoreflect.Repeated && hasUnknown(value.Message())
		return !found
	})
	return found
}

func isPositiveSeconds(d *durationpb.Duration) bool {
	return d.IsValid() && d.GetSeconds() > 0 && d.GetNanos() == 0
}
