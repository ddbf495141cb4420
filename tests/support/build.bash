# Sourced by tests/run, tests/bench/run and deploy/quickstart, from the root of the tree: one way to install, configure and build.

# Jobs to run at once: the processors, but one per 1.5 GiB of memory (an actor source takes about 1 GiB to compile).
warp_jobs() {
  local cpus memory_gib
  cpus=$(nproc)
  memory_gib=$(awk '/^MemAvailable/ { print int($2 / 1048576 / 1.5) }' /proc/meminfo)
  [ "$memory_gib" -ge 1 ] || memory_gib=1
  echo $((cpus < memory_gib ? cpus : memory_gib))
}

# Whether a folder that stands alone has to be built so: packages that only the others need are missing. (-DWARP_ONLY=FOLDER)
warp_stands_alone() {
  case $1 in physics | gpu) ;; *) return 1 ;; esac
  deploy/setup --list | grep -qE 'libcaf-dev|capnproto'
}

# warp_build PRESET TARGET...: installs what is missing, configures once (ninja repeats it when a CMake file changes), builds. `all`
# is every target. Compiler output is shown only when there is something to say. With WARP_ONLY=FOLDER it installs nothing and builds in
# build/PRESET-FOLDER.
warp_build() {
  local preset=$1 alone=()
  shift
  if [ -n "${WARP_ONLY:-}" ]; then
    alone=(-B "build/$preset-$WARP_ONLY" "-DWARP_ONLY=$WARP_ONLY")
  else
    deploy/setup
  fi
  local folder=build/$preset${WARP_ONLY:+-$WARP_ONLY}
  if [ ! -f "$folder/build.ninja" ]; then
    mkdir -p "$folder"
    echo "configure: preset $preset"
    cmake --preset "$preset" "${alone[@]}" >"$folder/configure.log" 2>&1 || {
      cat "$folder/configure.log" >&2
      return 1
    }
  fi
  echo "build: $* (preset $preset, $(warp_jobs) jobs)"
  if [ -t 1 ]; then
    ninja -C "$folder" -j "$(warp_jobs)" "$@"
  else
    ninja -C "$folder" -j "$(warp_jobs)" --quiet "$@"
  fi
}
