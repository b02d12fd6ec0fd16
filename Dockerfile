# The production image: web, workers, tick and migrations are the same image with another command (docker-compose.yml).
FROM python:3.11.13-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
COPY requirements/uv.txt requirements/stores.txt requirements/
RUN python -m venv /opt/lineshaft \
    && python -m venv /tmp/uv \
    && /tmp/uv/bin/pip install --quiet --require-hashes -r requirements/uv.txt \
    && VIRTUAL_ENV=/opt/lineshaft /tmp/uv/bin/uv pip sync --require-hashes --compile-bytecode --no-cache requirements/stores.txt
COPY . .
# Static files are made here, since the container's files cannot be written. The keys serve this step alone.
RUN LINESHAFT_MODE=production \
    SECRET_KEY=only-while-building TOKEN_PEPPER=only-while-building ENCRYPTION_KEYS=only-while-building \
    DATABASE_URL=postgresql://build@localhost/build REDIS_URL=redis://localhost/0 \
    /opt/lineshaft/bin/python manage.py collectstatic --no-input --verbosity 0 \
    && /opt/lineshaft/bin/python -m compileall -q .

FROM python:3.11.13-slim-bookworm
RUN groupadd --gid 10001 lineshaft \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin lineshaft
COPY --from=build /opt/lineshaft /opt/lineshaft
COPY --from=build /app /app
ENV PATH=/opt/lineshaft/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    LINESHAFT_MODE=production \
    REMAP_SIGTERM=SIGQUIT
WORKDIR /app
USER 10001:10001
EXPOSE 8000
CMD ["gunicorn", "-c", "python:config.gunicorn_settings", "--bind", "0.0.0.0:8000", "config.wsgi"]
