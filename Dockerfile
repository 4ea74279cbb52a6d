# A node in a container. How to build and run it: docs/operating.md, "In a container".
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements/run.txt requirements/
RUN python -m venv /opt/tallystick && /opt/tallystick/bin/pip install --no-cache-dir -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/tallystick/bin/pip install --no-cache-dir --no-deps .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /data --create-home tallystick
COPY --from=build /opt/tallystick /opt/tallystick
ENV PATH=/opt/tallystick/bin:$PATH PYTHONUNBUFFERED=1 TALLYSTICK_HOST=0.0.0.0 TALLYSTICK_DATA_DIR=/data
USER tallystick
VOLUME /data
EXPOSE 3001
# The process ends cleanly on SIGTERM, which is what `docker stop` sends.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:3001/ready', timeout=2)"]
ENTRYPOINT ["tallystick"]
CMD ["start"]
