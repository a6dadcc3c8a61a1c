FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /messenger
COPY Tests/acceptance/requirements.txt Tests/acceptance/
RUN python3 -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --use-pep517 \
        --requirement Tests/acceptance/requirements.txt
COPY messenger/grpc messenger/grpc
COPY Tests/Certificates Tests/Certificates
COPY Tests/acceptance Tests/acceptance
USER 65532:65532
ENTRYPOINT ["/venv/bin/python", "-B", "-m", "pytest", "-c", "Tests/acceptance/pytest.ini", "Tests/acceptance"]
