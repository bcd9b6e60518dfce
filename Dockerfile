# Dockerfile.amvera, under the name that others look for. Change that one, then: npm run docs
# The one image: Redis for the cache, Redis for state, and the app, under one supervisor.
# Plain instructions only: the platform's builder knows no BuildKit syntax. Layers go from what changes least
# (packages) to what changes most (sources).

FROM node:24-trixie-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-fund --no-audit
COPY scripts/bundle.ts scripts/image-packages.ts scripts/production-lock.ts ./scripts/
COPY src ./src
# The app with its libraries in a few files, and the packages that are not in them.
RUN npm run build && node scripts/image-packages.ts /packages
# By the lock file: what is not installed here would be a problem otherwise. Optional are native code that has a
# substitute, and a compiler that a package names as its optional peer.
RUN node scripts/production-lock.ts /production \
 && (cd /production && npm sbom --package-lock-only --omit=optional --sbom-format=cyclonedx) >sbom.json

FROM node:24-trixie-slim AS system
RUN apt-get update \
 && apt-get install -y --no-install-recommends redis-server supervisor ca-certificates \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/* \
 && rm -rf /usr/local/lib/node_modules /usr/local/include/node /opt/yarn* /root/.npm /root/.cache \
 && (cd /usr/local/bin && rm -f npm npx corepack yarn yarnpkg) \
 && find / -xdev -type f -perm /6000 -exec chmod ug-s '{}' + \
 && (userdel --remove node 2>/dev/null || true) \
 && useradd --uid 1000 --user-group --no-create-home --home-dir /run/samovar --shell /usr/sbin/nologin samovar \
 && useradd --uid 1001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin samovar-redis \
 && ln -s /app/image/samovar /usr/local/bin/samovar \
 && install -d -o samovar -g samovar -m 700 /data /run/samovar \
 && rm -rf /usr/bin/redis-check-aof /usr/bin/redis-benchmark /usr/share/info /usr/share/lintian /usr/share/bash-completion \
 && (cd /usr/lib/python3.* && rm -rf test pydoc_data unittest _pyrepl ensurepip idlelib turtle* lib2to3)

# As one layer: what was removed above would be in the layers below for ever, npm alone 18 MB.
FROM scratch
COPY --from=system / /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
WORKDIR /app
COPY --from=build /packages ./node_modules
COPY --from=build /app/sbom.json ./
COPY package.json ecosystem.config.js supervisord.conf LICENSE THIRD-PARTY.md ./
COPY image ./image
COPY --from=build /app/dist ./dist
# What V8 makes of the sources at a start, kept: compiling is most of what a start would cost.
ENV NODE_ENV=production NODE_COMPILE_CACHE=/app/compile-cache
RUN sh image/fill-compile-cache
LABEL org.opencontainers.image.title="Samovar" \
      org.opencontainers.image.description="One container image with a Redis and a Node app inside, which keeps serving while its Redis does not." \
      org.opencontainers.image.licenses="MIT"
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 CMD ["python3", "-I", "-S", "/app/image/healthcheck"]
# PID 1 has no default for signals, and a stop that comes before somebody listens would be lost: it waits until
# image/init does. (The script is plain sh, but dash unblocks all signals when it starts; bash leaves them.)
ENTRYPOINT ["env", "--block-signal=TERM", "--block-signal=INT", "bash", "--posix", "/app/image/entrypoint.sh"]
