# One image for each binary, chosen by an argument:
#
#   docker build --build-arg BINARY=orders -t ballast/orders .
#
# BINARY is orders, payments, inventory, provider or ballast. The first stage builds
# all of them, once: five images of one revision share its work. The same source gives
# the same binaries, wherever it lies. With buildx, --sbom=true --provenance=true puts
# a list of what is inside beside the image; `go version -m` reads it from a binary.
FROM golang:1.26.8-trixie AS build
WORKDIR /src
# Volumes are mounted here: a new one takes owner and content of the directory.
RUN mkdir -p /state/book /state/home && echo '{}' > /state/home/flags.json
COPY . .
# Static, the same wherever the source lies, and without symbols, which no stack trace
# needs. .ci/run builds and tests everything so. Without the tag grpc has pages for
# people, whose templates call methods by name: then the linker keeps all there are.
ENV CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false -tags=grpcnotrace '-ldflags=-s -w'"
# Modules and compiled packages outlive a build, whatever has changed in the source.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    scripts/build.sh ./cmd/ballast ./services/...

FROM gcr.io/distroless/static-debian13:nonroot
ARG BINARY
COPY --from=build --chown=65532:65532 /state /state
COPY --from=build /src/bin/${BINARY} /app
USER 65532:65532
ENTRYPOINT ["/app"]
# There is no shell to ask with: each binary asks its own admin listener.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["/app", "health"]
# Last, so that another version changes no layer.
ARG VERSION=dev REVISION=unknown
ENV OTEL_RESOURCE_ATTRIBUTES=service.version=${VERSION}
LABEL org.opencontainers.image.title="ballast ${BINARY}" \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION}
