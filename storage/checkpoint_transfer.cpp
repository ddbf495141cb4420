#include "storage/checkpoint_transfer.hpp"

#include "storage/checkpoint_reader.hpp"
#include "storage/crc32c.hpp"
#include "storage/path.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace warp::storage {

namespace {

checkpoint_offer offer_of(const checkpoint_reader& reader) {
  return {reader.header(), reader.end(), reader.record_count(), reader.file_bytes(),
          reader.checksum()};
}

} // namespace

op_result<checkpoint_exporter> checkpoint_exporter::open(file_system& files,
                                                         const std::string& path) {
  checkpoint_exporter exporter;
  exporter.path_ = path;
  auto reader = checkpoint_reader::open(files, path);
  if (!reader.ok()) return reader.status();
  exporter.offer_ = offer_of(*reader);
  auto in = files.open(path, open_mode::read);
  if (!in.ok()) return in.status();
  exporter.file_ = std::move(*in);
  return exporter;
}

op_result<checkpoint_chunk> checkpoint_exporter::read(std::uint64_t offset) {
  if (offset % checkpoint_chunk_bytes != 0 || offset >= offer_.bytes)
    return op_status{
        op_code::invalid_argument,
        fmt::format("{}: no chunk begins at offset {} of {}", path_, offset, offer_.bytes)};
  buffer_.resize(std::min<std::uint64_t>(checkpoint_chunk_bytes, offer_.bytes - offset));
  auto count = file_->read_at(offset, buffer_);
  if (!count.ok()) return count.status();
  if (*count != buffer_.size())
    return op_status{op_code::corruption,
                     fmt::format("{}: offset {}: the file ends early", path_, offset + *count)};
  return checkpoint_chunk{offset, crc32c(buffer_), buffer_};
}

op_result<checkpoint_importer> checkpoint_importer::open(file_system& files, std::string path,
                                                         const checkpoint_offer& offer) {
  if (offer.bytes < checkpoint_header_bytes + checkpoint_trailer_bytes)
    return op_status{op_code::invalid_argument,
                     fmt::format("{}: a checkpoint of {} bytes is on offer", path, offer.bytes)};
  checkpoint_importer importer;
  importer.files_ = &files;
  importer.path_ = std::move(path);
  importer.offer_ = offer;
  const auto part = importer.path_ + std::string{part_suffix};
  auto there = files.exists(part);
  if (!there.ok()) return there.status();
  auto out = files.open(part, *there ? open_mode::read_write : open_mode::create);
  if (!out.ok()) return out.status();
  importer.file_ = std::move(*out);
  if (!*there) return importer;

  // Goes on behind the last whole chunk, if this is a part of the same checkpoint.
  auto size = importer.file_->size();
  if (!size.ok()) return size.status();
  if (*size == offer.bytes)
    importer.offset_ = *size;
  else if (*size < offer.bytes)
    importer.offset_ = *size - *size % checkpoint_chunk_bytes;
  std::string head(checkpoint_header_bytes, '\0');
  if (importer.offset_ > 0) {
    auto count = importer.file_->read_at(0, head);
    if (!count.ok()) return count.status();
    if (head != encode(offer.header)) importer.offset_ = 0;
  }
  if (auto status = importer.file_->truncate(importer.offset_); !status.ok()) return status;
  return importer;
}

op_status checkpoint_importer::accept(const checkpoint_chunk& chunk) {
  const auto expected = std::min<std::uint64_t>(checkpoint_chunk_bytes, offer_.bytes - offset_);
  if (chunk.offset != offset_ || chunk.bytes.size() != expected || expected == 0)
    return {op_code::invalid_argument,
            fmt::format("{}: a chunk of {} bytes for offset {}, expected are {} for {}", path_,
                        chunk.bytes.size(), chunk.offset, expected, offset_)};
  if (const auto crc = crc32c(chunk.bytes); crc != chunk.crc)
    return {op_code::corruption,
            fmt::format("{}: offset {}: chunk checksum {:08x}, computed {:08x}", path_, offset_,
                        chunk.crc, crc)};
  if (auto status = file_->write_at(offset_, chunk.bytes); !status.ok()) return status;
  offset_ += chunk.bytes.size();
  return {};
}

op_status checkpoint_importer::finish() {
  if (offset_ != offer_.bytes)
    return {op_code::invalid_argument,
            fmt::format("{}: {} of {} bytes are here", path_, offset_, offer_.bytes)};
  if (auto status = file_->sync(); !status.ok()) return status;
  file_.reset();
  const auto part = path_ + std::string{part_suffix};
  auto reader = checkpoint_reader::open(*files_, part);
  auto status = reader.ok() ? reader->verify() : reader.status();
  if (status.ok()) {
    const auto got = offer_of(*reader);
    if (got.header != offer_.header || got.end != offer_.end || got.records != offer_.records ||
        got.checksum != offer_.checksum)
      status = {op_code::corruption,
                fmt::format("{}: is not the checkpoint that was on offer", part)};
  }
  if (!status.ok()) {
    if (status.code() == op_code::corruption)
      if (auto removed = abandon(); !removed.ok()) return removed;
    return status;
  }
  if (auto renamed = files_->rename(part, path_); !renamed.ok()) return renamed;
  return files_->sync_folder(folder_of(path_));
}

op_status checkpoint_importer::abandon() {
  file_.reset();
  offset_ = 0;
  return files_->remove(path_ + std::string{part_suffix});
}

} // namespace warp::storage
