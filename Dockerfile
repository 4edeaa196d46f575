# A static binary in an empty image. It needs nothing but /etc/resolv.conf, which Kubernetes brings.
FROM docker.io/library/rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY tests/lab tests/lab
COPY src src
# For `notariat -version`: docker build --build-arg NOTARIAT_COMMIT=$(git rev-parse HEAD) .
ARG NOTARIAT_COMMIT=
# --target keeps procedural macros dynamic, which a static build of them could not be. The remapping leaves no path of the
# build in the binary, so that another build gives the same one.
RUN target=$(rustc -vV | sed -n 's/^host: //p') \
 && RUSTFLAGS="-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs --remap-path-prefix=/src=. --remap-path-prefix=${CARGO_HOME:-/usr/local/cargo}=cargo" \
    cargo build --release --locked --target "$target" \
 && cp "target/$target/release/notariat" /notariat

FROM scratch
COPY --from=build /notariat /notariat
# One arena: what a watch's thread allocates and the loop frees is used again. Saves 4 MiB with 10,000 certificates (tests/scale).
ENV GLIBC_TUNABLES=glibc.malloc.arena_max=1
USER 65532:65532
ENTRYPOINT ["/notariat"]
