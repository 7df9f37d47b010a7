package edge

import (
	"context"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/grpcreflect"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// mountHealth serves grpc.health.v1 from a server of its own: balancers bring no
// token, and their calls must not be shed or counted.
func (s *Server) mountHealth(opts []connecthttp.Option) {
	health := connect.NewServer()
	known := map[string]bool{"": true}
	for _, name := range s.serviceNames() {
		known[name] = true
	}
	health.Register(connect.Method{
		Spec: connect.Spec{
			StreamType: connect.StreamTypeUnary,
			Schema:     healthv1.File_grpc_health_v1_health_proto.Services().ByName("Health").Methods().ByName("Check"),
			Procedure:  healthv1.Health_Check_FullMethodName,
		},
		Handler: func(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
			var req healthv1.HealthCheckRequest
			if err := stream.Receive(&req); err != nil {
				return err
			}
			if !known[req.GetService()] {
				return connect.NewError(connect.CodeNotFound, "unknown service")
			}
			status := healthv1.HealthCheckResponse_SERVING
			if s.cfg.Healthy != nil && s.cfg.Healthy(ctx) != nil {
				status = healthv1.HealthCheckResponse_NOT_SERVING
			}
			return stream.Send(&healthv1.HealthCheckResponse{Status: status})
		},
	})
	connecthttp.Mount(s.mux, health, opts...)
}

// mountReflection lets grpcurl and buf curl ask what is here.
func (s *Server) mountReflection() {
	names := append(s.serviceNames(), healthv1.Health_ServiceDesc.ServiceName)
	reflector := grpcreflect.NewStaticReflector(names...)
	s.mux.Handle(grpcreflect.NewHandlerV1(reflector))
	s.mux.Handle(grpcreflect.NewHandlerV1Alpha(reflector))
}

// serviceNames returns the full names of the registered services, each once.
func (s *Server) serviceNames() []string {
	var names []string
	seen := map[protoreflect.FullName]bool{}
	for spec := range s.RPC.Specs() {
		method, ok := spec.Schema.(protoreflect.MethodDescriptor)
		if !ok || seen[method.Parent().FullName()] {
			continue
		}
		seen[method.Parent().FullName()] = true
		names = append(names, string(method.Parent().FullName()))
	}
	return names
}
