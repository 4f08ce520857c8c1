# syntax=docker/dockerfile:1

# The image of `gemini-balance serve`, with the panel inside. Two ways to the binary:
#
#   docker build .                                     compiles it here
#   docker build --build-context binary=FOLDER .       takes FOLDER/gemini-balance, built outside
#
# The second is for CI that has built it already; it must be for glibc 2.36 or older (Debian 12).

FROM rust:1.95.0-bookworm AS compiled
# npm brings wasm-opt, which makes the panel a third smaller.
RUN apt-get update \
 && apt-get install -y --no-install-recommends npm \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# The caches outlive the layer: a change of one file compiles that crate, not its world.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/root/.cache/gemini-balance \
    cargo xtask panel \
 && CARGO_TARGET_DIR=/root/.cache/gemini-balance/target \
    cargo build --locked --profile dist --package cli \
 && cp /root/.cache/gemini-balance/target/dist/gemini-balance /gemini-balance

FROM scratch AS binary
COPY --from=compiled /gemini-balance /gemini-balance

FROM scratch AS folder
WORKDIR /data

# Certificates, time zones and libc, and neither shell nor package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=binary /gemini-balance /usr/local/bin/gemini-balance
# Everything that must last. It has to belong to the user that writes into it, and there is
# no shell here to see to that.
COPY --from=folder --chown=nonroot:nonroot /data /data
ENV HOST=0.0.0.0 \
    PORT=8000 \
    DATA_DIR=/data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/gemini-balance"]
CMD ["serve"]
