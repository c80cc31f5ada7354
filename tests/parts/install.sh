#!/usr/bin/env bash
# Java, Maven, OpenSSH's sshd, Chromium, curl, promtool and Helm, for the tests on real parts. `make test` calls this.
# As root they are installed; else one line says which tests are left out. With CI=true nothing may be.
set -euo pipefail

java_17() {  # a stub without a runtime counts as missing
    local version
    version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p') || return 1
    [ "${version:-0}" -ge 17 ]
}

helm_version=v3.22.0
helm=${XDG_CACHE_HOME:-$HOME/.cache}/s2s-bridge/helm-$helm_version

packages=()
left_out=()
needs() {  # the packages and the marker of the tests that need them
    packages+=($1)
    left_out+=("$2")
}

check() {
    packages=()
    left_out=()
    java_17 && command -v mvn >/dev/null || needs "openjdk-17-jre-headless maven" kafka
    command -v sshd >/dev/null || [ -x /usr/sbin/sshd ] || needs openssh-server sshd
    command -v chromium >/dev/null || needs "chromium fonts-dejavu-core" browser
    command -v curl >/dev/null || needs curl browser
    command -v promtool >/dev/null || needs prometheus promtool
    command -v go >/dev/null || [ -x "$helm" ] || needs golang-go helm
}

check
if [ ${#packages[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    # A package's own server need not start: the tests start theirs.
    { apt-get -q update && apt-get -q install -y --no-install-recommends "${packages[@]}"; } >"$log" 2>&1 ||
        tail -n 5 "$log" >&2
    rm -f "$log"
    check
fi

# Helm is in no distribution: it is built once, which takes some minutes, and kept.
if [ ! -x "$helm" ] && command -v go >/dev/null; then
    echo "building helm $helm_version" >&2
    folder=$(mktemp -d)
    if GOBIN=$folder go install "helm.sh/helm/v3/cmd/helm@$helm_version" 2>"$folder/log"; then
        mkdir -p "${helm%/*}" && mv "$folder/helm" "$helm"
    else
        tail -n 5 "$folder/log" >&2
        needs "helm $helm_version (go install failed)" helm
    fi
    rm -rf "$folder"
fi

if [ ${#packages[@]} -gt 0 ]; then
    echo "left out: the tests marked ${left_out[*]}; to run them, install ${packages[*]}" >&2
    [ "${CI:-}" != true ]
fi
