# The image of `gemini-balance serve`, with the panel inside. Two ways to its files:
#
#   docker build .                                    compiles them here
#   docker build --build-context files=FOLDER .       takes FOLDER, which `cargo xtask image
#                                                     --files FOLDER` made outside
#
# `cargo xtask image` does the second, and then tries the image out. No registry is asked for
# anything then, because the image itself begins with nothing.

# Compiles on the builder's own architecture, also for the other one: emulation takes an hour.
FROM --platform=$BUILDPLATFORM rust:1.95.0-bookworm AS compiled
ARG TARGETARCH
# npm brings wasm-opt, which makes the panel a third smaller; the rest is what links for the
# other architecture.
RUN case "$(dpkg --print-architecture)-$TARGETARCH" in \
      amd64-arm64) cross="gcc-aarch64-linux-gnu libc6-dev-arm64-cross" ;; \
      arm64-amd64) cross="gcc-x86-64-linux-gnu libc6-dev-amd64-cross" ;; \
      *) cross= ;; \
    esac \
 && apt-get update \
 && apt-get install -y --no-install-recommends npm ca-certificates $cross \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# What the desktop app and the server deploy unless they are told otherwise (contract::image).
ARG GEMINI_BALANCE_IMAGE
# The caches outlive the layer: a change of one file compiles that crate, not its world, which
# is what cargo-chef would do, and without compiling cargo-chef.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/root/.cache/gemini-balance \
    cargo xtask image --arch "$TARGETARCH" --files /files

# Stands for the folder that `--build-context files=` names.
FROM scratch AS files
COPY --from=compiled /files /

# One static program, certificates, and names for its user: nothing in here has a shell, a
# package manager or a vulnerability of its own. Time zones are inside the program (jiff).
FROM scratch
COPY --from=files /root /
# All that is written. It has to belong to the user who writes, and nobody is here to see to that.
COPY --from=files --chown=65532:65532 /data /data
USER 65532:65532
# SQLite's large sorts go to a file, and the root file system may be read-only.
ENV HOST=0.0.0.0 \
    PORT=8000 \
    DATA_DIR=/data \
    SQLITE_TMPDIR=/data
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/usr/local/bin/gemini-balance", "health"]
ENTRYPOINT ["/usr/local/bin/gemini-balance"]
CMD ["serve"]
# Last, because they differ with every build.
ARG VERSION=
ARG REVISION=
ARG SOURCE=https://github.com/gemini-balance/gemini-balance
LABEL org.opencontainers.image.title="Gemini Balance" \
      org.opencontainers.image.description="One address and one token for all your Gemini API keys" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.source="$SOURCE" \
      org.opencontainers.image.url="$SOURCE" \
      org.opencontainers.image.documentation="$SOURCE#readme" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
