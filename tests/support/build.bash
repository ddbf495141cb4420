# Sourced by tests/run, tests/bench/run and deploy/quickstart, from the root of the tree: one way to install, configure and build.

# Jobs to run at once: the processors, but one per 1.5 GiB of memory (an actor source takes about 1 GiB to compile).
warp_jobs() {
  local cpus memory_gib
  cpus=$(nproc)
  memory_gib=$(awk '/^MemAvailable/ { print int($2 / 1048576 / 1.5) }' /proc/meminfo)
  [ "$memory_gib" -ge 1 ] || memory_gib=1
  echo $((cpus < memory_gib ? cpus : memory_gib))
}

# warp_build PRESET TARGET...: installs what is missing, configures once (ninja repeats it when a CMake file changes), builds. `all`
# is every target. Compiler output is shown only when there is something to say.
warp_build() {
  local preset=$1
  shift
  deploy/setup
  if [ ! -f "build/$preset/build.ninja" ]; then
    mkdir -p "build/$preset"
    echo "configure: preset $preset"
    cmake --preset "$preset" >"build/$preset/configure.log" 2>&1 || {
      cat "build/$preset/configure.log" >&2
      return 1
    }
  fi
  echo "build: $* (preset $preset, $(warp_jobs) jobs)"
  if [ -t 1 ]; then
    ninja -C "build/$preset" -j "$(warp_jobs)" "$@"
  else
    ninja -C "build/$preset" -j "$(warp_jobs)" --quiet "$@"
  fi
}
