# Built and run with Node 22 on Debian slim; the image holds the compiled server and its run-time packages, nothing else.

FROM node:22-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json ./
COPY src ./src
COPY workers ./workers
RUN npm run build

FROM node:22-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

FROM node:22-slim
ENV NODE_ENV=production LADING_DATA_DIR=/data
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json LICENSE ./
RUN chmod +x dist/src/cli/main.js \
 && ln -s /app/dist/src/cli/main.js /usr/local/bin/lading \
 && install -d -o node -g node -m 0700 /data
USER node
VOLUME /data
EXPOSE 8005
STOPSIGNAL SIGTERM
# The image has no curl. /health, not /ready: a server that replays its journals is busy, not ill.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["node", "-e", "\
  const tls = Boolean(process.env.LADING_TLS_CERT); \
  const to = { host: '127.0.0.1', port: process.env.LADING_PORT || 8005, path: '/health', rejectUnauthorized: false }; \
  const end = (ok) => process.exit(ok ? 0 : 1); \
  require(tls ? 'node:https' : 'node:http').get(to, (reply) => end(reply.statusCode === 200)).on('error', () => end(false));"]
# No npm and no shell in between: the server is process 1 and gets the signals itself. The flag is that of `npm start`.
CMD ["node", "--max-semi-space-size=4", "dist/src/main.js"]
