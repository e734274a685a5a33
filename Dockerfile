# The compiler runs on the builder's own platform and cross-compiles, which is
# much faster than emulating each target.
FROM --platform=$BUILDPLATFORM golang:1.26 AS builder
ARG TARGETOS
ARG TARGETARCH

WORKDIR /workspace
COPY go.mod go.sum ./
RUN go mod download

COPY main.go main.go
COPY api/ api/
COPY controllers/ controllers/
COPY pkg/ pkg/
COPY webhooks/ webhooks/
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags="-s -w" -o eni-operator .

FROM gcr.io/distroless/static:nonroot
COPY --from=builder /workspace/eni-operator /eni-operator
USER 65532:65532
ENTRYPOINT ["/eni-operator"]
