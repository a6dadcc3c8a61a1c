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
    && apt-get install -y --no-install-recommends libhiredis0.14 libprotobuf-c1 libsqlite3-0 libssl3 zlib1g \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /usr/local/bin/messenger-server /usr/local/bin/
# For a history in a file: a volume that is mounted here belongs to the user below.
RUN install -d -o 65532 -g 65532 /var/lib/messenger
USER 65532:65532
ENV MESSENGER_SERVER_PORT=51075
EXPOSE 51075
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["messenger-server", "--check-health"]
# Memory that peaks have taken goes back sooner: glibc keeps it by arena, and would have eight for each processor.
ENV MALLOC_ARENA_MAX=2
ENTRYPOINT ["messenger-server"]
