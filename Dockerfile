# The compiler runs on the builder's own platform and cross-compiles, which is
# much faster than emulating each target.
FROM --platform=$BUILDPLATFORM golang:1.26 AS builder
ARG TARGETOS
ARG TARGETARCH
# The release, as in v0.1.0: the operator says it, and so does its metric.
ARG VERSION

WORKDIR /workspace
COPY go.mod go.sum ./
RUN go mod download

COPY main.go main.go
COPY api/ api/
COPY controllers/ controllers/
COPY pkg/ pkg/
COPY webhooks/ webhooks/
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags="-s -w -X github.com/eni-operator/eni-operator/pkg/version.release=$VERSION" -o eni-operator .

FROM gcr.io/distroless/static:nonroot
COPY --from=builder /workspace/eni-operator /eni-operator
USER 65532:65532
ENTRYPOINT ["/eni-operator"]
