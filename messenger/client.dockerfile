# The build stage: the same text in server.dockerfile and client.dockerfile (`./dev lint` compares them), so that the
# builder compiles both programs once and takes the other image's from its cache.
FROM swift:6.3-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgrpc-dev libhiredis-dev libprotobuf-c-dev libsqlite3-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /messenger
COPY Package.swift ./
COPY Examples Examples
COPY Sources Sources
COPY Tests Tests
# Kept from build to build, as on a developer's machine: after a change only what it touches is compiled again.
RUN --mount=type=cache,id=messenger-build-6.3-bookworm,target=/messenger/.build,sharing=locked \
    core=$(Sources/CGRPC/static-core.sh .build/static-core) \
    && for product in messenger-server messenger-client; do \
        swift build -c release --static-swift-stdlib $core --product $product \
        && strip -o /usr/local/bin/$product .build/release/$product \
        || exit 1; \
    done

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libprotobuf-c1 libssl3 libstdc++6 zlib1g \
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
