// A device that is not there: memory of the CPU's under another device's name, so that tensors on it and on the CPU don't mix.
#include <ATen/ATen.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

namespace {

constexpr auto kPretend = c10::DeviceType::PrivateUse1;

struct Memory : at::Allocator {
  at::DataPtr allocate(size_t n) override {
    auto memory = c10::GetCPUAllocator()->allocate(n);
    auto deleter = memory.get_deleter();
    void* data = memory.get();
    return {data, memory.release_context(), deleter, at::Device(kPretend, 0)};
  }
  at::DeleterFnPtr raw_deleter() const override { return c10::GetCPUAllocator()->raw_deleter(); }
  void copy_data(void* to, const void* from, std::size_t n) const override { default_copy_data(to, from, n); }
};
Memory memory;
REGISTER_ALLOCATOR(kPretend, &memory);

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return kPretend; }
  c10::Device exchangeDevice(c10::Device) const override { return {kPretend, 0}; }
  c10::Device getDevice() const override { return {kPretend, 0}; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const noexcept override { return c10::Stream(c10::Stream::DEFAULT, {kPretend, 0}); }
  c10::Stream exchangeStream(c10::Stream) const noexcept override { return c10::Stream(c10::Stream::DEFAULT, {kPretend, 0}); }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, const c10::DeviceIndex) const noexcept override {}
  void synchronizeEvent(void*) const override {}
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

// Random numbers of its own: a seed gives others than on the CPU, as on a GPU.
struct Generator : c10::GeneratorImpl {
  at::Generator inner = at::detail::createCPUGenerator();
  Generator() : GeneratorImpl{at::Device(kPretend, 0), c10::DispatchKeySet(c10::DispatchKey::PrivateUse1)} { set_current_seed(c10::default_rng_seed_val); }
  void set_current_seed(uint64_t seed) override { inner.set_current_seed(seed ^ 0x9e3779b97f4a7c15); }
  void set_offset(uint64_t) override { TORCH_CHECK(false, "offset"); }
  uint64_t get_offset() const override { TORCH_CHECK(false, "offset"); }
  uint64_t current_seed() const override { return inner.current_seed() ^ 0x9e3779b97f4a7c15; }
  uint64_t seed() override { return inner.seed(); }
  void set_state(const c10::TensorImpl& state) override { inner.unsafeGetGeneratorImpl()->set_state(state); }
  c10::intrusive_ptr<c10::TensorImpl> get_state() const override { return inner.unsafeGetGeneratorImpl()->get_state(); }
  Generator* clone_impl() const override { TORCH_CHECK(false, "clone"); }
};

at::Generator& default_generator() {
  static at::Generator generator = at::make_generator<Generator>();
  return generator;
}

void resize_storage(const c10::Storage& storage, size_t bytes) {
  auto data = memory.allocate(bytes);
  if (const size_t kept = std::min(bytes, storage.nbytes())) std::memcpy(data.get(), storage.data(), kept);
  storage.unsafeGetStorageImpl()->set_data_ptr_noswap(std::move(data));
  storage.unsafeGetStorageImpl()->set_nbytes(bytes);
}

struct Hooks : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  const at::Generator& getDefaultGenerator(c10::DeviceIndex) const override { return default_generator(); }
  at::Generator getNewGenerator(c10::DeviceIndex) const override { return at::make_generator<Generator>(); }
  at::Device getDeviceFromPtr(void*) const override { return at::Device(kPretend, 0); }
  at::Allocator* getPinnedMemoryAllocator() const override { return c10::GetCPUAllocator(); }
  void resizePrivateUse1Bytes(const c10::Storage& storage, size_t bytes) const override { resize_storage(storage, bytes); }
};

// The same memory, called the CPU's.
at::Tensor on_cpu(const at::Tensor& t) {
  return t.is_privateuseone()
      ? at::from_blob(t.numel() ? t.mutable_data_ptr() : nullptr, t.sizes(), t.strides(), t.options().device(at::kCPU))
      : t;
}

at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride, std::optional<at::ScalarType> dtype,
                         std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &memory, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                           c10::dtype_or_default(dtype));
}

at::Tensor empty(at::IntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                 std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &memory, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                   c10::dtype_or_default(dtype), format);
}

at::Tensor& copy_(at::Tensor& self, const at::Tensor& from, bool) {
  on_cpu(self).copy_(on_cpu(from));
  return self;
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool) {
  on_cpu(to).copy_(on_cpu(from));
  return to;
}

at::Tensor copy_from_and_resize(const at::Tensor& from, const at::Tensor& to) {
  if (to.sizes() != from.sizes()) to.resize_(from.sizes());
  on_cpu(to).copy_(on_cpu(from));
  return to;
}

const at::Tensor& resize_(const at::Tensor& self, at::IntArrayRef size, std::optional<at::MemoryFormat>) {
  auto* impl = self.unsafeGetTensorImpl();
  int64_t bytes = c10::multiply_integers(size) * self.itemsize() + self.storage_offset() * self.itemsize();
  if (static_cast<int64_t>(self.storage().nbytes()) < bytes) resize_storage(self.storage(), bytes);
  impl->set_sizes_contiguous(size);
  return self;
}

at::Scalar item(const at::Tensor& self) { return at::_local_scalar_dense(on_cpu(self)); }

// Every other operator: on the CPU, when all of its tensors are on one device, as CUDA would have it.
void fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  auto name = op.schema().operator_name().name;
  auto count = op.schema().arguments().size();
  auto arguments = torch::jit::last(stack, count);
  const bool indexing = name == "aten::index" || name.rfind("aten::index_put", 0) == 0 || name == "aten::_index_put_impl_";
  auto place = [&](const at::Tensor& t, bool index) {
    if (!t.defined() || t.is_privateuseone() || (t.is_cpu() && (t.dim() == 0 || index))) return;
    TORCH_CHECK(false, "Expected all tensors to be on the same device, but found at least two devices, pretend:0 and ",
                t.device(), "! (", name, ")");
  };
  for (size_t i = 0; i < count; ++i) {
    const auto& value = arguments[i];
    const bool index = indexing && i == 1 && arguments[0].toTensor().is_privateuseone();
    if (value.isTensor()) place(value.toTensor(), index);
    else if (value.isTensorList()) for (const at::Tensor& t : value.toTensorVector()) place(t, index);
    else if (value.isOptionalTensorList())
      for (std::optional<at::Tensor> t : value.toOptionalTensorList()) if (t) place(*t, index);
    if (op.schema().arguments()[i].type()->isSubtypeOf(*c10::OptionalType::create(c10::GeneratorType::get()))) {
      const at::Generator own = value.isNone() ? default_generator() : value.toGenerator();
      TORCH_CHECK(own.device().type() == kPretend, "Expected a 'pretend' device type for generator but found '", own.device(), "'");
      (*stack)[stack->size() - count + i] = static_cast<Generator*>(own.unsafeGetGeneratorImpl())->inner;
    }
  }
  at::native::cpu_fallback(op, stack);
}

void together(std::initializer_list<at::Tensor> tensors) {
  for (const auto& t : tensors)
    TORCH_CHECK(!t.defined() || t.is_privateuseone(), "Expected all tensors to be on the same device, but found at least two devices, pretend:0 and ", t.device(), "!");
}

// float32 with ten bits after the binary point, which convolutions on newer GPUs take (TF32, torch.backends.cudnn.allow_tf32).
at::Tensor coarse(const at::Tensor& t) {
  const auto here = on_cpu(t);
  if (here.scalar_type() != at::kFloat) return here;
  return here.contiguous().view(at::kInt).add(0x1000).bitwise_and(~0x1fff).view(at::kFloat);
}

// What torch calls instead of its own convolution on a device that it does not know.
at::Tensor convolution(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias, at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed, at::IntArrayRef output_padding, int64_t groups) {
  const at::Tensor b = bias.value_or(at::Tensor());
  together({x, weight, b});
  return at::convolution(coarse(x), coarse(weight), b.defined() ? std::optional(on_cpu(b)) : std::nullopt, stride, padding, dilation, transposed, output_padding, groups).to(x.device());
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> convolution_backward(const at::Tensor& g, const at::Tensor& x, const at::Tensor& weight, at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed, at::IntArrayRef output_padding, int64_t groups, std::array<bool, 3> mask) {
  together({g, x, weight});
  auto [gx, gw, gb] = at::convolution_backward(coarse(g), coarse(x), coarse(weight), mask[2] ? at::OptionalIntArrayRef(std::vector<int64_t>{g.size(1)}) : at::OptionalIntArrayRef(), stride, padding, dilation, transposed, output_padding, groups, mask);
  auto back = [&](const at::Tensor& t) { return t.defined() ? t.to(x.device()) : t; };
  return {back(gx), back(gw), back(gb)};
}

using Maybe = const std::optional<at::Tensor>&;

// Its schema does not say that it writes into the running statistics, so the fallback would lose them.
std::tuple<at::Tensor, at::Tensor, at::Tensor> batch_norm(const at::Tensor& x, Maybe weight, Maybe bias, Maybe mean, Maybe var, bool training, double momentum, double eps) {
  auto here = [](Maybe t) { return t && t->defined() ? std::optional(on_cpu(*t)) : std::nullopt; };
  for (Maybe t : {weight, bias, mean, var}) if (t) together({x, *t});
  auto [out, center, scale] = at::native_batch_norm(on_cpu(x), here(weight), here(bias), here(mean), here(var), training, momentum, eps);
  return {out.to(x.device()), center.to(x.device()), scale.to(x.device())};
}

// The CPU's takes no whole numbers, that of CUDA does.
at::Tensor histc(const at::Tensor& x, int64_t bins, const at::Scalar& low, const at::Scalar& high) {
  return at::histc(on_cpu(x).to(at::kDouble), bins, low, high).to(x.scalar_type()).to(x.device());
}

// And instead of its LSTM's and GRU's cells.

std::tuple<at::Tensor, at::Tensor, at::Tensor> lstm_cell(const at::Tensor& input, const at::Tensor& hidden, const at::Tensor& c, Maybe b1, Maybe b2) {
  auto sum = input + hidden;
  if (b1 && b1->defined()) sum = sum + *b1 + *b2;
  auto part = sum.chunk(4, 1);
  auto i = part[0].sigmoid(), f = part[1].sigmoid(), g = part[2].tanh(), o = part[3].sigmoid();
  auto next = f * c + i * g;
  return {o * next.tanh(), next, at::cat({i, f, g, o}, 1)};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> lstm_cell_backward(Maybe gh, Maybe gc, const at::Tensor& c, const at::Tensor& next, const at::Tensor& gates, bool bias) {
  auto part = gates.chunk(4, 1);
  auto i = part[0], f = part[1], g = part[2], o = part[3];
  auto t = next.tanh();
  auto dh = gh && gh->defined() ? *gh : at::zeros_like(next), dc = gc && gc->defined() ? *gc : at::zeros_like(next);
  dc = dc + dh * o * (1 - t * t);
  auto d = at::cat({dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g), dh * t * o * (1 - o)}, 1);
  return {d, dc * f, bias ? d.sum(0) : at::Tensor()};
}

std::tuple<at::Tensor, at::Tensor> gru_cell(const at::Tensor& input, const at::Tensor& hidden, const at::Tensor& h, Maybe b1, Maybe b2) {
  auto in = (b1 && b1->defined() ? input + *b1 : input).chunk(3, 1), own = (b2 && b2->defined() ? hidden + *b2 : hidden).chunk(3, 1);
  auto r = (in[0] + own[0]).sigmoid(), z = (in[1] + own[1]).sigmoid(), n = (in[2] + r * own[2]).tanh();
  return {n + z * (h - n), at::cat({r, z, n, h, own[2]}, 1)};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor> gru_cell_backward(const at::Tensor& gh, const at::Tensor& kept, bool bias) {
  auto part = kept.chunk(5, 1);
  auto r = part[0], z = part[1], n = part[2], h = part[3], own = part[4];
  auto dn = gh * (1 - z) * (1 - n * n), dz = gh * (h - n) * z * (1 - z), dr = dn * own * r * (1 - r);
  auto gi = at::cat({dr, dz, dn}, 1), gown = at::cat({dr, dz, dn * r}, 1);
  return {gi, gown, gh * z, bias ? gi.sum(0) : at::Tensor(), bias ? gown.sum(0) : at::Tensor()};
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("_thnn_fused_lstm_cell", &lstm_cell);
  m.impl("_thnn_fused_lstm_cell_backward_impl", &lstm_cell_backward);
  m.impl("_thnn_fused_gru_cell", &gru_cell);
  m.impl("_thnn_fused_gru_cell_backward", &gru_cell_backward);
  m.impl("native_batch_norm", &batch_norm);
  m.impl("histc", &histc);
  m.impl("convolution_overrideable", &convolution);
  m.impl("convolution_backward_overrideable", &convolution_backward);
  m.impl("empty.memory_format", &empty);
  m.impl("empty_strided", &empty_strided);
  m.impl("copy_", &copy_);
  m.impl("_copy_from", &copy_from);
  m.impl("_copy_from_and_resize", &copy_from_and_resize);
  m.impl("resize_", &resize_);
  m.impl("_local_scalar_dense", &item);
  m.impl("as_strided", [](const at::Tensor& self, at::IntArrayRef size, at::IntArrayRef stride, std::optional<int64_t> offset) {
    return at::native::as_strided_tensorimpl(self, size, stride, offset);
  });
  m.impl("view", [](const at::Tensor& self, at::IntArrayRef size) { return at::native::view(self, size); });
  m.impl("_reshape_alias", [](const at::Tensor& self, at::IntArrayRef size, at::IntArrayRef stride) {
    return at::native::_reshape_alias(self, size, stride);
  });
  m.impl("unfold", [](const at::Tensor& self, int64_t d, int64_t size, int64_t step) { return at::native::unfold(self, d, size, step); });
  m.impl("set_.source_Tensor", [](at::Tensor& self, const at::Tensor& source) -> at::Tensor& {
    together({source});
    return at::native::set_storage_cpu_(self, source.storage(), source.storage_offset(), source.sizes(), source.strides());
  });
  m.impl("set_.source_Storage", [](at::Tensor& self, at::Storage source) -> at::Tensor& { return at::native::set_(self, source); });
  m.impl("set_.source_Storage_storage_offset", [](at::Tensor& self, at::Storage source, int64_t offset, at::IntArrayRef size, at::IntArrayRef stride) -> at::Tensor& {
    return at::native::set_storage_cpu_(self, source, offset, size, stride);
  });
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>()); }

TORCH_LIBRARY(pretend, m) {
  m.def("manual_seed(int seed) -> ()", [](int64_t seed) { default_generator().set_current_seed(seed); });
  m.def("get_rng_state() -> Tensor", []() { return default_generator().get_state(); });
  m.def("set_rng_state(Tensor state) -> ()", [](const at::Tensor& state) { default_generator().set_state(state); });
}

struct Register { Register() { at::RegisterPrivateUse1HooksInterface(new Hooks); } } registered;

}  // namespace
