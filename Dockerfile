# The one image of the hub; the command chooses the role: docker run claimhub up --role worker
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/claimhub
ENV PATH=/opt/claimhub/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Libraries first: this layer changes only with the lock.
COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY monitoring monitoring
COPY connectors connectors
COPY sinks sinks
COPY streams streams
RUN pip install --no-deps --no-build-isolation .

FROM python:3.11.14-slim-bookworm
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/claimhub claimhub \
    && install --directory --owner claimhub --mode 0700 /keys
COPY --from=build /opt/claimhub /opt/claimhub
ENV PATH=/opt/claimhub/bin:$PATH
USER claimhub
WORKDIR /var/lib/claimhub
# Metrics and health
EXPOSE 8810
# `up` drains on SIGTERM; no shell stands between it and the signal.
ENTRYPOINT ["claimhub"]
CMD ["--help"]
