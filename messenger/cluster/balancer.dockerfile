# A plain TCP balancer before the servers of one room.
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends haproxy \
    && rm -rf /var/lib/apt/lists/*
COPY messenger/cluster/haproxy.cfg /etc/haproxy/haproxy.cfg
USER haproxy
EXPOSE 51075
ENTRYPOINT ["haproxy", "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg"]
