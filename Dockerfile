# Debian, not Alpine: the embedded PostgreSQL needs glibc. A tag moves: name a digest with --build-arg (docs/deployment.md).
ARG NODE_IMAGE=node:22-bookworm-slim
FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY . .
RUN npm ci
RUN npm prune --omit=dev --ignore-scripts

FROM ${NODE_IMAGE}
ENV NODE_ENV=production \
    HOLDPOINT_DATA=/data
WORKDIR /app
COPY --from=build --chown=root:root /app/package.json /app/LICENSE /app/manifest.yml ./
COPY --from=build --chown=root:root /app/bin ./bin
COPY --from=build --chown=root:root /app/prisma ./prisma
COPY --from=build --chown=root:root /app/docs ./docs
COPY --from=build --chown=root:root /app/node_modules ./node_modules
# With sbom.cdx.json and THIRD-PARTY-NOTICES.txt.
COPY --from=build --chown=root:root /app/dist ./dist
RUN ln -s /app/bin/holdpoint.mjs /usr/local/bin/holdpoint \
 && install -d -o node -g node -m 0700 /data /data/recordings
USER node
VOLUME /data
# Gateway and console. Both listen on loopback unless configured otherwise (TLS, login): see compose.yaml.
EXPOSE 7432 7480
STOPSIGNAL SIGTERM
# Asks /readyz of what was started with HOLDPOINT_DATA (or `data:` of HOLDPOINT_CONFIG): store, recorder, targets.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "/app/bin/holdpoint.mjs", "health"]
ENTRYPOINT ["node", "/app/bin/holdpoint.mjs"]
CMD ["start"]
