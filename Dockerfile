# The host alone: one binary, and what it dynamically links (libc, libm, libgcc_s).
FROM rust:1-bookworm AS build
WORKDIR /sluice
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/sluice/target \
    cargo build --release --locked && cp target/release/host /usr/local/bin/host

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /usr/local/bin/host /usr/local/bin/host
ENTRYPOINT ["/usr/local/bin/host"]
