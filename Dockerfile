# One file for every service:  docker build --build-arg SERVICE=ingress -t intention-ingress .
# SERVICE: ingress | step_executor | resume | qstash_dev | ably_dev | town. A service's image holds its locked third-party packages,
# `shared/` and its own folder, nothing of its neighbours. It runs as uid 10001 and writes nothing below /app.
ARG SERVICE

FROM python:3.12-slim AS libraries
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin app
WORKDIR /app
ARG SERVICE
# Third-party first: this layer changes when a lock file does, and then only.
COPY requirements/${SERVICE}.txt requirements.txt
RUN pip install --quiet --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
    --require-hashes --only-binary=:all: -r requirements.txt
COPY shared/ shared/

# One stage each: what it adds, where it listens (PORT_SETTING tells the health check), how it starts.
FROM libraries AS service-ingress
COPY services/__init__.py services/
COPY services/ingress/ services/ingress/
ENV INGRESS_HOST=0.0.0.0 INGRESS_PORT=3000 PORT_SETTING=INGRESS_PORT
EXPOSE 3000
CMD ["python", "-m", "services.ingress.main"]

FROM libraries AS service-step_executor
COPY services/__init__.py services/
COPY services/step_executor/ services/step_executor/
ENV EXECUTOR_HOST=0.0.0.0 EXECUTOR_PORT=3001 PORT_SETTING=EXECUTOR_PORT
EXPOSE 3001
CMD ["python", "-m", "services.step_executor.main"]

FROM libraries AS service-resume
COPY services/__init__.py services/
COPY services/resume/ services/resume/
ENV RESUME_HOST=0.0.0.0 RESUME_PORT=3002 PORT_SETTING=RESUME_PORT
EXPOSE 3002
CMD ["python", "-m", "services.resume.main"]

# Refuses to start until QSTASH_DEV_ALLOW_PUBLIC=true says that its network is closed; compose.yaml does.
FROM libraries AS service-qstash_dev
COPY services/__init__.py services/
COPY services/qstash_dev/ services/qstash_dev/
ENV QSTASH_DEV_HOST=0.0.0.0 QSTASH_DEV_PORT=8080 PORT_SETTING=QSTASH_DEV_PORT
EXPOSE 8080
CMD ["python", "-m", "services.qstash_dev.main"]

# The same of ABLY_DEV_ALLOW_PUBLIC and ABLY_DEV_KEY: its public development key is for loopback only.
FROM libraries AS service-ably_dev
COPY services/__init__.py services/
COPY services/ably_dev/ services/ably_dev/
ENV ABLY_DEV_HOST=0.0.0.0 ABLY_DEV_PORT=8090 PORT_SETTING=ABLY_DEV_PORT
EXPOSE 8090
CMD ["python", "-m", "services.ably_dev.main"]

# The partner service of the examples. /data belongs to the user, so that a volume mounted there does too.
FROM libraries AS service-town
COPY examples/ examples/
RUN install -d -o 10001 -g 10001 /data
ENV TOWN_HOST=0.0.0.0 TOWN_PORT=3010 TOWN_DATABASE=/data/town.sqlite PORT_SETTING=TOWN_PORT
EXPOSE 3010
CMD ["python", "-m", "examples.town.main"]

FROM service-${SERVICE}
# Compiled here, because the user may not write: a cold start should not pay for it.
RUN python -m compileall -q shared "$(if [ -d services ]; then echo services; else echo examples; fi)"
USER 10001:10001
# /healthz: the process answers. PROBE_PATH=/readyz asks for what it needs, too (all but town have it).
ENV PROBE_PATH=/healthz
HEALTHCHECK --interval=2s --timeout=3s --start-period=30s --retries=5 CMD ["python", "-IS", "-c", "import os, socket, sys; e = os.environ; s = socket.create_connection(('127.0.0.1', int(e[e['PORT_SETTING']])), 2); s.sendall(b'GET %s HTTP/1.0\\r\\n\\r\\n' % e['PROBE_PATH'].encode()); sys.exit(s.recv(12)[9:] != b'200')"]
