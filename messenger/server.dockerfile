# The build stage is the same in both dockerfiles, so the builder compiles both programs once.
FROM swift:6.3-bookworm AS build
WORKDIR /messenger
COPY scripts/packages scripts/packages
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates $(sed 's/.* //' scripts/packages/building) \
    && rm -rf /var/lib/apt/lists/*
COPY LICENSE CHANGELOG.md Package.swift ./
COPY scripts scripts
COPY Examples Examples
COPY Sources Sources
COPY Tests Tests
# The time of the files in the images. The same sources, packages and time make the same files.
ARG SOURCE_DATE_EPOCH=0
# The cache keeps the build folder, so that a change compiles only what it touches.
RUN --mount=type=cache,id=messenger-build-6.3-bookworm,target=/messenger/.build,sharing=locked scripts/build-image

# No distribution: the program, its libraries, and the authorities that it may trust.
FROM scratch
COPY --from=build /image/server /
COPY --from=build --chown=65532:65532 /image/state /var/lib/messenger
USER 65532:65532
LABEL org.opencontainers.image.title="messenger-server" \
    org.opencontainers.image.description="Server of a chat with one room, over gRPC" \
    org.opencontainers.image.licenses="Apache-2.0"
# - Memory that peaks have taken goes back sooner: glibc keeps it by arena, and would have eight for each processor.
# - OpenSSL, for rediss://, looks for authorities in a folder that only a distribution has.
# - A crash leaves a backtrace in the log, without the memory's contents.
ENV MESSENGER_SERVER_PORT=51075 \
    MALLOC_ARENA_MAX=2 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    SWIFT_BACKTRACE=enable=yes,swift-backtrace=/usr/libexec/swift-backtrace,interactive=no,color=no,cache=no,registers=none,images=none,threads=all
EXPOSE 51075
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/usr/local/bin/messenger-server", "--check-health"]
ENTRYPOINT ["/usr/local/bin/messenger-server"]
