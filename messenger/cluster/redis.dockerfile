# Redis for a room of several servers: what it has acknowledged is on the disk within a second.
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends redis-server \
    && rm -rf /var/lib/apt/lists/*
USER redis
WORKDIR /var/lib/redis
VOLUME /var/lib/redis
EXPOSE 6379
HEALTHCHECK --interval=10s --timeout=5s CMD ["redis-cli", "ping"]
ENTRYPOINT ["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--dir", "/var/lib/redis", "--save", "", \
    "--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"]
