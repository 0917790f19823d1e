# Three stages: the pages, the binary with the pages inside, and a small image
# that has ffmpeg and a CJK font beside it. The server runs as an ordinary user
# and keeps everything in /data.
FROM node:20-bookworm-slim AS web
WORKDIR /src/web
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY web/ ./
COPY docs/protocol.md ../docs/protocol.md
RUN npm run build

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
COPY --from=web /src/web/dist web/dist
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /tongxiang .

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ffmpeg fonts-noto-cjk fontconfig ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /data --create-home tongxiang
COPY --from=build /tongxiang /usr/local/bin/tongxiang
COPY configs/*.yaml /etc/tongxiang/
USER tongxiang
WORKDIR /data
VOLUME /data
ENV TONGXIANG_DATA=/data
# Pages and API; WebRTC media; RTSP. With --network host nothing needs to be published.
EXPOSE 8080/tcp 8443/tcp 8443/udp 8444/tcp 8554/tcp 8000/udp 8001/udp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s \
  CMD ["tongxiang", "healthcheck"]
ENTRYPOINT ["tongxiang"]
CMD ["serve", "--config", "/etc/tongxiang/city.yaml"]
