#include "storage/file_system.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>

namespace warp::storage {
namespace {

op_status failure(std::string_view what, const std::string& path, int error) {
  auto code = op_code::io_error;
  if (error == ENOSPC || error == EDQUOT) code = op_code::no_space;
  if (error == ENOENT) code = op_code::not_found;
  return {code, fmt::format("{}: {} failed: {}", path, what, std::strerror(error))};
}

/// Owns a file descriptor.
class descriptor {
public:
  explicit descriptor(int fd) noexcept : fd_(fd) {}
  descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  descriptor& operator=(descriptor&&) = delete;
  ~descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }

private:
  int fd_;
};

template <class Call>
auto retried(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

bool is_direct(open_mode mode) {
  return mode == open_mode::create_direct || mode == open_mode::direct;
}

op_result<descriptor> open_path(const std::string& path, int flags) {
  const int fd = retried([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0644); });
  if (fd < 0) {
    const int error = errno;
    auto s = failure("open", path, error);
    if (error == EINVAL && (flags & O_DIRECT) != 0)
      return op_status{op_code::not_supported, s.message()};
    return s;
  }
  return descriptor{fd};
}

class posix_file final : public file {
public:
  posix_file(descriptor fd, std::string path, open_mode mode)
      : fd_(std::move(fd)), path_(std::move(path)), mode_(mode) {}

  op_result<std::size_t> read_at(std::uint64_t offset, std::span<char> buffer) override {
    std::size_t done = 0;
    while (done < buffer.size()) {
      const auto n = retried([&] {
        return ::pread(fd_.get(), buffer.data() + done, buffer.size() - done,
                       static_cast<off_t>(offset + done));
      });
      if (n < 0) return failure(fmt::format("read at {}", offset + done), path_, errno);
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }

  op_status write_at(std::uint64_t offset, std::span<const std::string_view> pieces) override {
    return write(offset, pieces, 0);
  }

  op_status write_synced(std::uint64_t offset, std::span<const std::string_view> pieces) override {
    // Past the page cache one call is faster than two, through it slower.
    if (!is_direct(mode_)) return file::write_synced(offset, pieces);
    return write(offset, pieces, RWF_DSYNC);
  }

  op_status sync() override {
    // No second try after EINTR or any other failure: the kernel may have dropped the pages that it
    // could not write.
    if (::fdatasync(fd_.get()) != 0) return failure("fdatasync", path_, errno);
    return {};
  }

  op_status truncate(std::uint64_t size) override {
    if (retried([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(size)); }) != 0)
      return failure(fmt::format("truncate to {}", size), path_, errno);
    return {};
  }

  op_result<std::uint64_t> size() override {
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0) return failure("stat", path_, errno);
    return static_cast<std::uint64_t>(status.st_size);
  }

private:
  op_status write(std::uint64_t offset, std::span<const std::string_view> pieces, int flags) {
    iovec vectors[64];
    std::size_t next = 0, skip = 0; // pieces[next] from byte `skip` on is what remains
    while (next < pieces.size()) {
      int count = 0;
      for (std::size_t i = next; i < pieces.size() && count < 64; ++i, ++count) {
        const auto rest = pieces[i].substr(i == next ? skip : 0);
        vectors[count] = {const_cast<char*>(rest.data()), rest.size()};
      }
      const auto n = retried(
          [&] { return ::pwritev2(fd_.get(), vectors, count, static_cast<off_t>(offset), flags); });
      if (n < 0) return write_failure(offset, errno);
      offset += static_cast<std::uint64_t>(n);
      for (auto left = static_cast<std::size_t>(n) + skip;;) { // a short write stops anywhere
        if (next == pieces.size() || left < pieces[next].size()) {
          skip = left;
          break;
        }
        left -= pieces[next++].size();
      }
    }
    return {};
  }

  [[nodiscard]] op_status write_failure(std::uint64_t offset, int error) const {
    auto s = failure(fmt::format("write at {}", offset), path_, error);
    // Some file systems open a file for direct I/O and refuse only its writes, or the flag.
    if ((error == EINVAL || error == EOPNOTSUPP) && is_direct(mode_))
      return {op_code::not_supported, s.message()};
    return s;
  }

  descriptor fd_;
  std::string path_;
  open_mode mode_;
};

/// flock(): bound to the open file, so that two openings in one process exclude each other too, and
/// gone when the process dies.
class posix_folder_lock final : public folder_lock {
public:
  explicit posix_folder_lock(descriptor fd) : fd_(std::move(fd)) {}

private:
  descriptor
      fd_; // the file stays: removing it would let two processes lock two files of the same name
};

class posix_files final : public file_system {
public:
  op_result<std::unique_ptr<file>> open(const std::string& path, open_mode mode) override {
    int flags = O_RDONLY;
    if (mode == open_mode::read_write) flags = O_RDWR;
    if (mode == open_mode::create) flags = O_RDWR | O_CREAT | O_EXCL;
    if (mode == open_mode::create_direct) flags = O_RDWR | O_CREAT | O_EXCL | O_DIRECT;
    if (mode == open_mode::direct) flags = O_RDWR | O_DIRECT;
    auto fd = open_path(path, flags);
    if (!fd) {
      if (fd.code() == op_code::not_supported && mode == open_mode::create_direct)
        ::unlink(path.c_str()); // some file systems make the file before they refuse the flag
      return fd.status();
    }
    // Whoever only reads does so from front to back. Advice: nothing is lost when it is not taken.
    if (mode == open_mode::read) ::posix_fadvise(fd->get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    return std::unique_ptr<file>{std::make_unique<posix_file>(std::move(*fd), path, mode)};
  }

  op_result<std::vector<std::string>> list(const std::string& folder) override {
    std::vector<std::string> names;
    std::error_code error;
    for (std::filesystem::directory_iterator it{folder, error}, end; !error && it != end;
         it.increment(error))
      names.push_back(it->path().filename().string());
    if (error) return failure("list", folder, error.value());
    std::sort(names.begin(), names.end());
    return names;
  }

  op_result<bool> exists(const std::string& path) override {
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return failure("stat", path, errno);
  }

  op_status create_folder(const std::string& path) override {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) return failure("create folder", path, error.value());
    return {};
  }

  op_status rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0)
      return failure(fmt::format("rename to {}", to), from, errno);
    return {};
  }

  op_status remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return failure("remove", path, errno);
    return {};
  }

  op_status sync_folder(const std::string& folder) override {
    auto fd = open_path(folder, O_RDONLY | O_DIRECTORY);
    if (!fd) return fd.status();
    if (::fsync(fd->get()) != 0) return failure("fsync", folder, errno);
    return {};
  }

  op_result<std::uint64_t> free_bytes(const std::string& path) override {
    struct statvfs status {};
    if (::statvfs(path.c_str(), &status) != 0) return failure("statvfs", path, errno);
    return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
  }

  op_result<std::unique_ptr<folder_lock>> lock(const std::string& folder) override {
    const auto path = folder + "/lock";
    auto fd = open_path(path, O_RDWR | O_CREAT);
    if (!fd) return fd.status();
    if (retried([&] { return ::flock(fd->get(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno != EWOULDBLOCK) return failure("flock", path, errno);
      return op_status{op_code::unavailable, fmt::format("{}: the folder is in use by process {}",
                                                         path, holder(fd->get()))};
    }
    const auto pid = fmt::format("{}\n", ::getpid());
    if (::ftruncate(fd->get(), 0) != 0 ||
        ::pwrite(fd->get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
      return failure("write", path, errno);
    return std::unique_ptr<folder_lock>{std::make_unique<posix_folder_lock>(std::move(*fd))};
  }

private:
  static std::string holder(int fd) {
    char text[32];
    const auto n = ::pread(fd, text, sizeof text, 0);
    std::string pid{text, n > 0 ? static_cast<std::size_t>(n) : 0};
    while (!pid.empty() && (pid.back() == '\n' || pid.back() == ' ')) pid.pop_back();
    return pid.empty() ? "(pid not written yet)" : pid;
  }
};

} // namespace

file_system& posix_file_system() {
  static posix_files files;
  return files;
}

} // namespace warp::storage
