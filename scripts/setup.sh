#!/usr/bin/env bash
# Installs what a purpose needs and this machine lacks; says what and why, and
# asks before it uses sudo. Running it again changes nothing.
#
#   scripts/setup.sh [--check] PURPOSE...      PURPOSE: build run test bench fuzz
#
# --check  only say what is there and what is missing (exit 1 if anything is)
#
# It installs Debian packages; for the tests a few Python packages and for fuzzing
# one Rust program, all into .antiphon/, a folder that can be deleted. It starts and enables no
# service. Without a terminal and without being root it installs nothing,
# prints the command to run, and stops.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
state=${ANTIPHON_STATE:-$root/.antiphon}
# shellcheck source=scripts/toolchain.sh
. "$root/scripts/toolchain.sh"

say() { printf '%s\n' "$*"; }
die() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

# ---- what is needed --------------------------------------------------------
# One line per package: name, the file that shows it is there, the reason.
# Packages that bring a daemon are marked with a last word "service".

build_packages='
gcc|/usr/bin/cc|links programs and compiles the bundled SQLite, Opus and the crypto
cmake|/usr/bin/cmake|builds the bundled Opus
libc6-dev|/usr/include/stdio.h|headers for the same
make|/usr/bin/make|runs the front doors
'
run_packages='
iproute2|/usr/bin/ip /sbin/ip /usr/sbin/ip|gives the smoke test a network of its own
baresip-core|/usr/bin/baresip|two headless SIP stations for the demo
openssl|/usr/bin/openssl|judges certificates and lists of the cloud core
sox|/usr/bin/sox|makes the test tone and measures what arrived
'
test_packages='
sip-tester|/usr/bin/sipp|scripted and hostile SIP peers
baresip-core|/usr/bin/baresip|first independent SIP client
linphone-cli|/usr/bin/linphonec|second independent SIP client
tshark|/usr/bin/tshark|judges what is on the wire
libpri-dev|/usr/include/libpri.h|an independent ISDN stack, the other end of our lines
sox|/usr/bin/sox|makes test tones and measures what arrived
ffmpeg|/usr/bin/ffmpeg|a second opinion on G.722 and G.711
iproute2|/usr/bin/ip /sbin/ip /usr/sbin/ip|gives each test a network of its own
iptables|/usr/sbin/iptables|loses packets between hosts of a test
flite|/usr/bin/flite|speaks the sentences that the audio judge listens to
python3-venv|/usr/bin/python3|folders of their own for the third SIP client, the audio judge, the OpenWebNet and the MQTT client
python3-dev|/usr/include/python3.11/Python.h /usr/include/python3.13/Python.h|compiles PESQ, which the audio judge scores with
chromium|/usr/bin/chromium|a browser, to test pages as people use them
nodejs|/usr/bin/node|drives the browser
npm|/usr/bin/npm|installs what drives it
kamailio|/usr/sbin/kamailio|a foreign registrar, to check the test clients themselves|service
rtpengine-daemon|/usr/bin/rtpengine|an SRTP of others, to check ours|service
python3-aiosmtpd|/usr/lib/python3/dist-packages/aiosmtpd/__init__.py|a mail server of others, for the letters of the cloud core
mosquitto-clients|/usr/bin/mosquitto_pub|devices of another make, at the front door of the cloud core
mosquitto|/usr/sbin/mosquitto|a broker in front of the cloud core|service
shellcheck|/usr/bin/shellcheck|reads these scripts before they run anywhere
postgresql|/usr/lib/postgresql/15/bin/initdb /usr/lib/postgresql/17/bin/initdb|the second database of the cloud core, a server of its own for each test|service
'
bench_packages='
kamailio|/usr/sbin/kamailio|peer: proxy and registrar|service
kamailio-extra-modules|/usr/lib/x86_64-linux-gnu/kamailio/modules/rtpengine.so /usr/lib/aarch64-linux-gnu/kamailio/modules/rtpengine.so|lets the peer proxy drive rtpengine|service
rtpengine-daemon|/usr/bin/rtpengine|peer: media relay|service
sip-tester|/usr/bin/sipp|a second opinion on the load tool
postgresql|/usr/lib/postgresql/15/bin/initdb /usr/lib/postgresql/17/bin/initdb|the second database of the cloud core, and alone its own peer|service
mosquitto|/usr/sbin/mosquitto|peer of the cloud core: a broker for the same devices|service
'
fuzz_packages='
g++|/usr/bin/c++|compiles libFuzzer
'
toolchain_packages='
rustc-web|-|the Rust compiler
cargo-web|-|its build tool
rust-web-clippy|-|lints
rustfmt-web|-|formatting
lld|-|links four times as fast as the default
'

# Adds the packages of list $1 whose files are missing to `missing`.
add_missing() {
    local name files reason kind file present
    while IFS='|' read -r name files reason kind; do
        [ -n "$name" ] || continue
        present=
        for file in $files; do
            [ -e "$file" ] && present=yes
        done
        # python3 exists on most machines without the part that makes folders of packages.
        if [ "$name" = python3-venv ] && [ -n "$present" ] && ! /usr/bin/python3 -c 'import ensurepip' 2>/dev/null; then
            present=
        fi
        [ -z "$present" ] || continue
        case " $missing " in *" $name "*) continue ;; esac
        missing="$missing $name"
        reasons="$reasons    $(printf '%-24s' "$name") $reason"$'\n'
        [ "$kind" = service ] && services="$services $name"
    done <<<"$1"
    return 0
}

# ---- installing ------------------------------------------------------------

# Runs a command as root: directly, or through sudo after the user agreed.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

permission_to_install() {
    [ "$(id -u)" = 0 ] && return 0
    local command="apt-get install --no-install-recommends$missing"
    command -v sudo >/dev/null 2>&1 ||
        die "you are not root and there is no sudo. As root, run: $command"
    { [ -t 0 ] && [ -t 1 ]; } ||
        die "this needs root, and there is no terminal to ask on. Run: sudo $command"
    local answer
    read -r -p "Install them with sudo? [Y/n] " answer
    case "$answer" in
    '' | y | Y | yes | Yes) ;;
    *) die "nothing was installed. To do it by hand: sudo $command" ;;
    esac
}

# While packages are unpacked, a policy file keeps their services from being
# started; those that a package enables are disabled again afterwards, but
# only for packages that were not here before.
policy=/usr/sbin/policy-rc.d
forbid_service_start() {
    [ -e "$policy" ] && return 0
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    trap 'as_root rm -f "$policy"' EXIT
}
allow_service_start() {
    if [ -n "$(trap -p EXIT)" ]; then
        as_root rm -f "$policy"
        trap - EXIT
    fi
}
disable_services() {
    local package unit
    for package in $services; do
        for unit in $(dpkg -L "$package" 2>/dev/null | sed -n 's|.*/systemd/system/\([^/@]*\.service\)$|\1|p'); do
            # deb-systemd-helper works in containers too, and upgrades respect it.
            as_root deb-systemd-helper disable "$unit" >/dev/null 2>&1 ||
                say "setup: could not disable $unit; disable it by hand if you do not want it at boot"
        done
    done
}

# Package lists may be absent (a fresh container) or stale; they are fetched
# when a package is not known or does not install from the lists at hand.
install_packages() {
    command -v apt-get >/dev/null 2>&1 ||
        die "this system has no apt-get; setup knows Debian 12 and 13. Install by hand:$missing"
    local package updated=
    for package in $missing; do
        if ! apt-cache show "$package" >/dev/null 2>&1; then
            say "setup: fetching the package lists"
            as_root apt-get update -qq || die "the package lists could not be fetched (network, or /etc/apt)."
            updated=yes
            break
        fi
    done
    for package in $missing; do
        apt-cache show "$package" >/dev/null 2>&1 ||
            die "Debian's package '$package' is not known here. Is this Debian 12 or 13 with its security updates in /etc/apt?"
    done
    [ -z "$services" ] || forbid_service_start
    # shellcheck disable=SC2086 # a list of words
    if ! apt_install $missing; then
        [ -z "$updated" ] || die "apt-get failed (its message is above)."
        say "setup: again with fresh package lists"
        as_root apt-get update -qq || die "the package lists could not be fetched (network, or /etc/apt)."
        # shellcheck disable=SC2086
        apt_install $missing || die "apt-get failed (its message is above)."
    fi
    allow_service_start
    disable_services
}
apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" \
        </dev/null >"$log" 2>&1 || { tail -n 20 "$log" >&2; return 1; }
}

# ---- the third SIP client --------------------------------------------------
# A Python package of that one version exists ready-made for Python 3.11 on
# x86-64 only; elsewhere the tests that use it say that they did not run.
pjsua2_package='pjsua2-python==2.15.1.post1'
pjsua2_folder=$state/pjsua2

pjsua2_fits() {
    [ "$(uname -m)" = x86_64 ] && [ -x /usr/bin/python3 ] &&
        [ "$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')" = 3.11 ]
}
pjsua2_present() { [ -x "$pjsua2_folder/bin/python" ] && "$pjsua2_folder/bin/python" -c 'import pjsua2' 2>/dev/null; }

install_pjsua2() {
    pjsua2_present && return 0
    if ! pjsua2_fits; then
        say "setup: no ready-made pjsua2 for this Python and processor; its tests will say that they did not run."
        return 0
    fi
    say "setup: installing $pjsua2_package into $pjsua2_folder (third SIP client)"
    rm -rf "$pjsua2_folder"
    /usr/bin/python3 -m venv "$pjsua2_folder"
    "$pjsua2_folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: "$pjsua2_package" ||
        die "pip could not install $pjsua2_package (its message is above)."
}

# ---- the audio judge -------------------------------------------------------
# PESQ comes as C source and is compiled here, against the numpy beside it.
judge_folder=$state/audio-judge
judge_packages=$root/tests/audio/judge/requirements.txt

judge_present() {
    [ -x "$judge_folder/bin/python" ] && cmp -s "$judge_packages" "$judge_folder/installed.txt"
}

install_judge() {
    judge_present && return 0
    say "setup: installing PESQ and STOI into $judge_folder (audio judge, half a minute)"
    rm -rf "$judge_folder"
    /usr/bin/python3 -m venv "$judge_folder"
    local pip="$judge_folder/bin/python -m pip install --quiet --disable-pip-version-check"
    # shellcheck disable=SC2086 # a command and its options
    {
        grep -v '^pesq' "$judge_packages" | $pip --only-binary :all: -r /dev/stdin
        grep '^pesq' "$judge_packages" | $pip --no-deps --no-build-isolation -r /dev/stdin
    } || true
    "$judge_folder/bin/python" -c 'import pesq, pystoi' ||
        die "pip could not install the audio judge (its message is above)."
    cp "$judge_packages" "$judge_folder/installed.txt"
}

# ---- the OpenWebNet client -------------------------------------------------
# A program of others (GPL) that the tests run beside the gateway; nothing links it.
openwebnet_folder=$state/openwebnet-client
openwebnet_packages=$root/tests/e2e/clients/openwebnet-requirements.txt

openwebnet_present() {
    [ -x "$openwebnet_folder/bin/python" ] && cmp -s "$openwebnet_packages" "$openwebnet_folder/installed.txt"
}

install_openwebnet() {
    openwebnet_present && return 0
    say "setup: installing OWNd into $openwebnet_folder (OpenWebNet client)"
    rm -rf "$openwebnet_folder"
    /usr/bin/python3 -m venv "$openwebnet_folder"
    "$openwebnet_folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: -r "$openwebnet_packages" ||
        die "pip could not install the OpenWebNet client (its message is above)."
    cp "$openwebnet_packages" "$openwebnet_folder/installed.txt"
}

# ---- the MQTT client -------------------------------------------------------
paho_folder=$state/paho-client
paho_packages=$root/cloud-core/daemon/tests/clients/paho-requirements.txt

paho_present() {
    [ -x "$paho_folder/bin/python" ] && cmp -s "$paho_packages" "$paho_folder/installed.txt"
}

install_paho() {
    paho_present && return 0
    say "setup: installing Paho into $paho_folder (MQTT client)"
    rm -rf "$paho_folder"
    /usr/bin/python3 -m venv "$paho_folder"
    "$paho_folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: -r "$paho_packages" ||
        die "pip could not install the MQTT client (its message is above)."
    cp "$paho_packages" "$paho_folder/installed.txt"
}

# ---- what drives the browser -----------------------------------------------
# Playwright without browsers of its own, and axe; locked by version and hash.
browser_folder=$state/browser
browser_packages=$root/tests/browser

browser_present() {
    [ -d "$browser_folder/node_modules" ] && cmp -s "$browser_packages/package-lock.json" "$browser_folder/installed.json"
}

install_browser() {
    browser_present && return 0
    say "setup: installing playwright-core and axe-core into $browser_folder (browser tests)"
    rm -rf "$browser_folder"
    mkdir -p "$browser_folder"
    cp "$browser_packages/package.json" "$browser_packages/package-lock.json" "$browser_packages/.npmrc" "$browser_folder"
    (cd "$browser_folder" && npm ci --silent --ignore-scripts) ||
        die "npm could not install what drives the browser (its message is above)."
    cp "$browser_packages/package-lock.json" "$browser_folder/installed.json"
}

# ---- the interface of the cloud core ---------------------------------------
# Schemathesis, which asks it for everything, and what makes and judges its client of TypeScript.
schemathesis_folder=$state/schemathesis
schemathesis_packages=$root/tests/api/requirements.txt
client_folder=$state/client
client_packages=$root/cloud-core/client

schemathesis_present() {
    [ -x "$schemathesis_folder/bin/python" ] && cmp -s "$schemathesis_packages" "$schemathesis_folder/installed.txt"
}

install_schemathesis() {
    schemathesis_present && return 0
    say "setup: installing Schemathesis into $schemathesis_folder (the interface of the cloud core)"
    rm -rf "$schemathesis_folder"
    /usr/bin/python3 -m venv "$schemathesis_folder"
    "$schemathesis_folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: -r "$schemathesis_packages" ||
        die "pip could not install Schemathesis (its message is above)."
    cp "$schemathesis_packages" "$schemathesis_folder/installed.txt"
}

client_present() {
    [ -d "$client_folder/node_modules" ] && cmp -s "$client_packages/package-lock.json" "$client_folder/installed.json"
}

install_client() {
    client_present && return 0
    say "setup: installing openapi-typescript into $client_folder (the cloud core's client)"
    rm -rf "$client_folder"
    mkdir -p "$client_folder"
    cp "$client_packages/package.json" "$client_packages/package-lock.json" "$client_packages/.npmrc" "$client_folder"
    (cd "$client_folder" && npm ci --silent --ignore-scripts) ||
        die "npm could not install what makes the client (its message is above)."
    cp "$client_packages/package-lock.json" "$client_folder/installed.json"
}

# ---- the fuzzer's driver ---------------------------------------------------

install_cargo_fuzz() {
    [ ! -x "$state/tools/bin/cargo-fuzz" ] || return 0
    say "setup: building cargo-fuzz into $state/tools (a minute)"
    cargo install --quiet --locked --root "$state/tools" cargo-fuzz ||
        die "cargo could not install cargo-fuzz (its message is above)."
}

# ---- the way through -------------------------------------------------------

check_only="" purposes=""
for argument in "$@"; do
    case "$argument" in
    --check) check_only=yes ;;
    build | run | test | bench | fuzz) purposes="$purposes $argument" ;;
    *) die "unknown word '$argument'. Usage: scripts/setup.sh [--check] build|run|test|bench|fuzz ..." ;;
    esac
done
[ -n "$purposes" ] || die "say what for: build, run, test, bench or fuzz"

missing="" reasons="" services=""
if find_toolchain; then
    rust="Rust $rust_found in $rust_dir"
else
    rust="no Rust $(minimum_rust) or newer${rust_too_old:+ (only $rust_too_old, which is left alone)}"
    add_missing "$toolchain_packages"
fi
add_missing "$build_packages"
for purpose in $purposes; do
    case "$purpose" in
    run) add_missing "$run_packages" ;;
    test) add_missing "$test_packages" ;;
    bench) add_missing "$bench_packages" ;;
    fuzz) add_missing "$fuzz_packages" ;;
    esac
done

if [ -n "$check_only" ]; then
    say "Toolchain: $rust"
    if [ -n "$missing" ]; then
        say "Missing for$purposes:"
        printf '%s' "$reasons"
        say "To install: scripts/setup.sh$purposes"
        exit 1
    fi
    case "$purposes " in *' test '*)
        if pjsua2_present; then say "pjsua2:    in $pjsua2_folder"; else say "pjsua2:    not yet (scripts/setup.sh test)"; fi
        if openwebnet_present; then say "OWNd:      in $openwebnet_folder"; else say "OWNd:      not yet (scripts/setup.sh test)"; fi
        if paho_present; then say "Paho:      in $paho_folder"; else say "Paho:      not yet (scripts/setup.sh test)"; fi
        if browser_present; then say "browser:   in $browser_folder"; else say "browser:   not yet (scripts/setup.sh test)"; fi
        if schemathesis_present; then say "Schemathesis: in $schemathesis_folder"; else say "Schemathesis: not yet (scripts/setup.sh test)"; fi
        if client_present; then say "client:    in $client_folder"; else say "client:    not yet (scripts/setup.sh test)"; fi
        if judge_present; then say "judge:     in $judge_folder"; else say "judge:     not yet (scripts/setup.sh test)"; fi ;;
    esac
    say "Nothing is missing for$purposes."
    exit 0
fi

mkdir -p "$state" 2>/dev/null || die "cannot write to $state; set ANTIPHON_STATE to a folder of yours."
log=$state/setup.log

if [ -n "$missing" ]; then
    say "Toolchain: $rust"
    say "These Debian packages are missing for$purposes:"
    printf '%s' "$reasons"
    permission_to_install
    say "setup: installing (details in $log)"
    install_packages
    find_toolchain || die "still no Rust $(minimum_rust) or newer. Debian's security updates carry it as rustc-web; are they in /etc/apt?"
fi
use_toolchain
for tool in clippy fmt; do
    case "$purposes " in *' test '*) ;; *) continue ;; esac
    cargo "$tool" --version >/dev/null 2>&1 ||
        die "the toolchain in $rust_dir lacks cargo $tool. With rustup: rustup component add clippy rustfmt; with Debian's: apt-get install rust-web-clippy rustfmt-web"
done
case "$purposes " in *' test '*) install_pjsua2; install_judge; install_openwebnet; install_paho; install_browser; install_schemathesis; install_client ;; esac
case "$purposes " in *' fuzz '*) install_cargo_fuzz ;; esac
