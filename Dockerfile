# The image of the bridge; docs/container.md tells how to build, run and pin it, docs/decisions/0030 why it is so.
# A digest fixes the base: --build-arg PYTHON_IMAGE=python:3.12-slim@sha256:...
ARG PYTHON_IMAGE=python:3.12-slim

# All that the lock names, with what builds the project. The virtual environment has no pip of its own.
FROM ${PYTHON_IMAGE} AS locked
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements.lock /build/
RUN python -m venv --without-pip /opt/s2s-bridge \
    && python -m pip --python /opt/s2s-bridge/bin/python install --quiet --no-compile --require-hashes \
        --only-binary :all: -r /build/requirements.lock

# The project alone, as it will lie in the last stage: a layer of its own, so that an upgrade pulls little.
FROM locked AS project
COPY pyproject.toml README.md /build/
COPY schemas /build/schemas
COPY bridge /build/bridge
RUN python -m pip --python /opt/s2s-bridge/bin/python wheel --quiet --no-deps --no-build-isolation \
        --wheel-dir /build/dist /build \
    && python -m pip --python /opt/s2s-bridge/bin/python install --quiet --no-compile --no-deps --no-index \
        --no-warn-script-location --root /project /build/dist/*.whl \
    && python -m compileall -q --invalidation-mode unchecked-hash -s /project -p / /project/opt/s2s-bridge

# What runs: the lock without what builds. Its bytecode is never looked at again, as nothing can change it.
FROM locked AS dependencies
RUN python -m pip --python /opt/s2s-bridge/bin/python uninstall --quiet --yes \
        editables hatchling packaging pathspec pluggy tomlkit trove-classifiers \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/s2s-bridge/lib

FROM ${PYTHON_IMAGE}
# Debian keeps one version of a package for each release: a pinned one would end the build at the next.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* /usr/local/bin/pip* \
        /usr/local/lib/python3*/site-packages/pip* /usr/local/lib/python3*/ensurepip \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/s2s-bridge
COPY --from=dependencies /opt/s2s-bridge /opt/s2s-bridge
COPY --from=project /project/opt/s2s-bridge /opt/s2s-bridge

ENV PATH=/opt/s2s-bridge/bin:$PATH PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
# Numbers, so that Kubernetes can tell that it is not root.
USER 10001:10001
VOLUME /var/lib/s2s-bridge
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/opt/s2s-bridge/bin/python", "-I", "-m", "bridge.observe.probe"]
ENTRYPOINT ["/usr/bin/tini", "--", "/opt/s2s-bridge/bin/s2s-bridge"]
CMD ["run", "--config", "/etc/s2s-bridge/bridge.yaml"]

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="s2s-bridge" \
      org.opencontainers.image.description="Streams segment memberships from Kafka to MediaMath server-to-server import, within its quotas" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
