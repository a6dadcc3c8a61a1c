# The build stage is the same in both dockerfiles, so the builder compiles both programs once.
FROM swift:6.3-bookworm AS build
WORKDIR /messenger
COPY scripts/packages scripts/packages
RUN apt-get update \
    && apt-get install -y --no-install-recommends $(sed 's/.* //' scripts/packages/building) \
    && rm -rf /var/lib/apt/lists/*
COPY scripts scripts
COPY Package.swift ./
COPY Examples Examples
COPY Sources Sources
COPY Tests Tests
# The cache keeps the build folder, so that a change compiles only what it touches.
RUN --mount=type=cache,id=messenger-build-6.3-bookworm,target=/messenger/.build,sharing=locked scripts/build-image

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libprotobuf-c1 libssl3 zlib1g \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /usr/local/bin/messenger-client /usr/local/bin/
USER 65532:65532
ENV MESSENGER_HTTP_PORT=8080
EXPOSE 8080
STOPSIGNAL SIGTERM
# By bash alone: the image has no HTTP client of its own.
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["bash", "-c", \
    "host=${MESSENGER_HTTP_HOST:-*}; host=${host#[}; host=${host%]}; [ \"$host\" != '*' ] || host=127.0.0.1; \
    exec 3<>\"/dev/tcp/$host/$MESSENGER_HTTP_PORT\" && \
    printf 'GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && \
    read -r _ status _ <&3 && [ \"$status\" = 200 ]"]
# Memory that peaks have taken goes back sooner: glibc keeps it by arena, and would have eight for each processor.
ENV MALLOC_ARENA_MAX=2
ENTRYPOINT ["messenger-client"]
