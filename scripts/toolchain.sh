# shellcheck shell=bash
# shellcheck disable=SC2154 # $root is set by whoever sources this
# shellcheck disable=SC2034 # and what is found here is read there
#
# Sourced by setup.sh and xtask: finds a Rust toolchain that is new enough and
# puts it first on PATH. Installs nothing. Needs $root, the repository's folder.
#
# There is no rust-toolchain file on purpose: it would make rustup download a
# toolchain, also on machines that have a good one or no way to fetch one.

# The oldest Rust that builds the project, from the root manifest.
minimum_rust() {
    sed -n 's/^rust-version = "\([0-9.]*\)".*/\1/p' "$root/Cargo.toml"
}

# version_at_least HAVE WANT
version_at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

# The version of DIR/rustc, or nothing when it does not run.
rustc_version() {
    "$1/rustc" --version 2>/dev/null | sed -n 's/^rustc \([0-9][0-9.]*\).*/\1/p'
}

# Folders that may hold a toolchain, best first. Where an older one stands
# first on PATH, a newer one behind it is still found.
toolchain_folders() {
    printf '%s\n' "$PATH" | tr ':' '\n'
    printf '%s\n' "${CARGO_HOME:-${HOME:-/root}/.cargo}/bin" /usr/bin
}

# Sets rust_dir and rust_found (a version); rust_too_old when only older ones exist.
find_toolchain() {
    rust_dir="" rust_found="" rust_too_old=""
    local wanted folder version
    wanted=$(minimum_rust)
    while read -r folder; do
        if [ ! -x "$folder/rustc" ] || [ ! -x "$folder/cargo" ]; then continue; fi
        version=$(rustc_version "$folder")
        [ -n "$version" ] || continue
        if version_at_least "$version" "$wanted"; then
            rust_dir=$folder rust_found=$version
            return 0
        fi
        rust_too_old="$version in $folder"
    done < <(toolchain_folders)
    return 1
}

# Puts the found toolchain first on PATH. Debian's rustc links with GNU ld,
# which takes four times as long as lld; rustup's brings lld itself.
use_toolchain() {
    PATH="$rust_dir:$PATH"
    export PATH
    if [ "$rust_dir" = /usr/bin ] && command -v ld.lld >/dev/null 2>&1; then
        export CARGO_BUILD_RUSTFLAGS="-Clink-arg=-fuse-ld=lld"
    fi
}
