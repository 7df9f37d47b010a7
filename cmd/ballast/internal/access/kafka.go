package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/kafka"
)

// iterations of SCRAM: the least that Kafka takes. More would defend passwords that
// can be guessed; these are 130 random bits.
const iterations = 4096

// Kafka makes the users and sets their rights at one cluster.
type Kafka struct {
	// Brokers as host:port, and the administrator, who must be there already.
	Brokers []string
	Login   kafka.Login
	// Password of a user.
	Password func(user string) (string, error)
	// DryRun only tells what would be done.
	DryRun bool
}

// Users are those that are made: the services, the operator, and the administrator,
// who logs in with SCRAM from then on.
func Users() []string { return append(Names(), Operator, Admin) }

// Passwords returns the passwords in the files of a directory, one named by each user.
func Passwords(dir string) func(user string) (string, error) {
	return func(user string) (string, error) {
		content, err := os.ReadFile(filepath.Join(dir, user))
		if err != nil {
			return "", fmt.Errorf("password of %s: %w: `ballast access secrets` makes the passwords", user, err)
		}
		return strings.TrimSpace(string(content)), nil
	}
}

// Apply makes users, gives the rights that are missing and takes away those of the
// users here, and of everybody, that are not among them. It prints what everybody has.
// Repeated, it changes nothing.
func (k Kafka) Apply(ctx context.Context, services []Service, out io.Writer) error {
	client, err := kgo.NewClient(append(kafka.Options(k.Brokers, "ballast-access"), k.Login.Options()...)...)
	if err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	defer client.Close()
	if err := k.users(ctx, client, out); err != nil {
		return explain(err)
	}
	have, err := existing(ctx, client)
	if err != nil {
		return explain(err)
	}
	want := Rights(services)
	missing := slices.DeleteFunc(slices.Clone(want), func(r Right) bool { return slices.Contains(have, r.acl()) })
	extra := slices.DeleteFunc(have, func(a acl) bool {
		return !ours(a.Principal) || slices.ContainsFunc(want, func(r Right) bool { return r.acl() == a })
	})
	if !k.DryRun {
		if err := errors.Join(add(ctx, client, missing), drop(ctx, client, extra)); err != nil {
			return explain(err)
		}
		if err := settled(ctx, "rights", func() (bool, error) {
			have, err := existing(ctx, client)
			return !slices.ContainsFunc(missing, func(r Right) bool { return !slices.Contains(have, r.acl()) }), err
		}); err != nil {
			return err
		}
	}
	return printRights(out, want, missing, extra, k.DryRun)
}

// users sets the passwords by which the users can't log in yet.
func (k Kafka) users(ctx context.Context, client *kgo.Client, out io.Writer) error {
	var upserts []kadm.UpsertSCRAM
	for _, user := range Users() {
		password, err := k.Password(user)
		if err != nil {
			return err
		}
		known, err := k.opens(ctx, user, password)
		if err != nil {
			return err
		}
		said := "its password is set already"
		if !known {
			said = "password set"
			upserts = append(upserts, kadm.UpsertSCRAM{User: user, Mechanism: kadm.ScramSha512, Iterations: iterations, Password: password})
		}
		fmt.Fprintf(out, "user %s: %s\n", user, said)
	}
	if k.DryRun || len(upserts) == 0 {
		return nil
	}
	done, err := kadm.NewClient(client).AlterUserSCRAMs(ctx, nil, upserts)
	if err == nil {
		err = done.Error()
	}
	if err != nil {
		return fmt.Errorf("make users: %w", err)
	}
	for _, u := range upserts {
		if err := settled(ctx, "user "+u.User, func() (bool, error) { return k.opens(ctx, u.User, u.Password) }); err != nil {
			return err
		}
	}
	return nil
}

// A broker hears of a change a moment after the controller has taken it. Who comes
// next must not be refused for that: it would take the refusal for good.
const (
	settleTimeout = 10 * time.Second
	settleStep    = 50 * time.Millisecond
)

// settled waits until a broker knows what was changed.
func settled(ctx context.Context, what string, known func() (bool, error)) error {
	deadline := time.After(settleTimeout)
	for {
		if ok, err := known(); ok || err != nil {
			return err
		}
		select {
		case <-time.After(settleStep):
		case <-deadline:
			return fmt.Errorf("%s: the brokers took the change and don't know of it after %s", what, settleTimeout)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// opens says whether the password is the one that the brokers know. They keep no
// passwords to compare with, so it is tried.
func (k Kafka) opens(ctx context.Context, user, password string) (bool, error) {
	login := k.Login
	login.User, login.Password, login.Mechanism = user, config.Secret(password), kafka.ScramSHA512
	client, err := kgo.NewClient(append(kafka.Options(k.Brokers, "ballast-access"), append(login.Options(), kgo.RequestRetries(0))...)...)
	if err != nil {
		return false, fmt.Errorf("kafka client: %w", err)
	}
	defer client.Close()
	switch err := client.Ping(ctx); {
	case err == nil:
		return true, nil
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return false, nil
	default:
		return false, fmt.Errorf("kafka at %s: %w", strings.Join(k.Brokers, ","), err)
	}
}

// explain says what to do about a refusal.
func explain(err error) error {
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed), errors.Is(err, kerr.UnsupportedSaslMechanism):
		return fmt.Errorf("%w: KAFKA_SASL_USER and KAFKA_SASL_PASSWORD must be the administrator's, with KAFKA_SASL_MECHANISM=PLAIN before there is any SCRAM user", err)
	case errors.Is(err, kerr.ClusterAuthorizationFailed):
		return fmt.Errorf("%w: KAFKA_SASL_USER must be one of the brokers' super.users", err)
	case errors.Is(err, kerr.SecurityDisabled):
		return fmt.Errorf("%w: the brokers have no authorizer: set authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", err)
	default:
		return err
	}
}

// acl is an ACL as a broker has it; comparable, as the names and numbers are.
type acl struct {
	Principal, Host, Name string
	Resource              kmsg.ACLResourceType
	Pattern               kmsg.ACLResourcePatternType
	Operation             kmsg.ACLOperation
	Permission            kmsg.ACLPermissionType
}

func (r Right) acl() acl {
	pattern := kmsg.ACLResourcePatternTypeLiteral
	if r.Prefixed {
		pattern = kmsg.ACLResourcePatternTypePrefixed
	}
	return acl{"User:" + r.User, "*", r.Name, r.Resource, pattern, r.Operation, kmsg.ACLPermissionTypeAllow}
}

// ours says whether the ACLs of a principal are decided here: those of the users that
// are made here, and of everybody, to whom nothing is allowed.
func ours(principal string) bool {
	user, _ := strings.CutPrefix(principal, "User:")
	return user == "*" || slices.Contains(Users(), user)
}

func existing(ctx context.Context, client *kgo.Client) ([]acl, error) {
	req := kmsg.NewPtrDescribeACLsRequest()
	req.ResourceType, req.ResourcePatternType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny
	req.Operation, req.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	res, err := req.RequestWith(ctx, client)
	if err == nil {
		err = kerr.ErrorForCode(res.ErrorCode)
	}
	if err != nil {
		return nil, fmt.Errorf("list ACLs: %w", err)
	}
	var all []acl
	for _, resource := range res.Resources {
		for _, a := range resource.ACLs {
			all = append(all, acl{a.Principal, a.Host, resource.ResourceName, resource.ResourceType, resource.ResourcePatternType, a.Operation, a.PermissionType})
		}
	}
	return all, nil
}

func add(ctx context.Context, client *kgo.Client, missing []Right) error {
	if len(missing) == 0 {
		return nil
	}
	req := kmsg.NewPtrCreateACLsRequest()
	for _, r := range missing {
		a, c := r.acl(), kmsg.NewCreateACLsRequestCreation()
		c.ResourceType, c.ResourceName, c.ResourcePatternType = a.Resource, a.Name, a.Pattern
		c.Principal, c.Host, c.Operation, c.PermissionType = a.Principal, a.Host, a.Operation, a.Permission
		req.Creations = append(req.Creations, c)
	}
	res, err := req.RequestWith(ctx, client)
	if err != nil {
		return fmt.Errorf("add ACLs: %w", err)
	}
	for i, r := range res.Results {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			return fmt.Errorf("add ACL of %s for %s: %w", missing[i].User, missing[i].Name, err)
		}
	}
	return nil
}

func drop(ctx context.Context, client *kgo.Client, extra []acl) error {
	if len(extra) == 0 {
		return nil
	}
	req := kmsg.NewPtrDeleteACLsRequest()
	for _, a := range extra {
		f := kmsg.NewDeleteACLsRequestFilter()
		f.ResourceType, f.ResourceName, f.ResourcePatternType = a.Resource, &a.Name, a.Pattern
		f.Principal, f.Host, f.Operation, f.PermissionType = &a.Principal, &a.Host, a.Operation, a.Permission
		req.Filters = append(req.Filters, f)
	}
	res, err := req.RequestWith(ctx, client)
	if err != nil {
		return fmt.Errorf("remove ACLs: %w", err)
	}
	for i, r := range res.Results {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			return fmt.Errorf("remove ACL of %s for %s: %w", extra[i].Principal, extra[i].Name, err)
		}
	}
	return nil
}
