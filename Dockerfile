# The compiler runs on the builder's own platform and cross-compiles, which is
# much faster than emulating each target.
# A patch release, so that two builds have one standard library: make vulncheck judges this one.
FROM --platform=$BUILDPLATFORM golang:1.26.10 AS builder
ARG TARGETOS
ARG TARGETARCH
# The release, as in v0.1.0: the operator says it, and so does its metric.
ARG VERSION

WORKDIR /workspace
COPY go.mod go.sum ./
RUN go mod download

COPY LICENSE LICENSE
COPY hack/licenses.sh hack/licenses.sh
COPY main.go main.go
COPY api/ api/
COPY controllers/ controllers/
COPY pkg/ pkg/
COPY webhooks/ webhooks/
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags="-s -w -X github.com/eni-operator/eni-operator/pkg/version.release=$VERSION" -o eni-operator .
RUN hack/licenses.sh licenses

FROM gcr.io/distroless/static:nonroot
COPY --from=builder /workspace/eni-operator /eni-operator
COPY --from=builder /workspace/licenses /licenses
USER 65532:65532
ENTRYPOINT ["/eni-operator"]
