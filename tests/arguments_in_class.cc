#include <cerebra/cerebra.h>

/* Members, initialisers of members, and what depends on a type. */
class model {
  public:
    explicit model(double rate)
        : rate_(rate), optimizer_(cb_adam_new(params_, .lr = rate_, .weight_decay = rate)) {
    }
    ~model() {
        cb_optimizer_free(optimizer_);
        cb_params_free(params_);
    }
    model(const model &) = delete;
    model &operator=(const model &) = delete;
    template <class Size> cb_module *layer(const char *name, Size size) {
        return cb_linear_new(params_, name, size, size, .no_bias = rate_ > 0);
    }
    bool good() const {
        return cb_params_count(params_) == 1 &&
               cb_optimizer_group_options(optimizer_, 0)->lr == rate_;
    }

  private:
    double rate_;
    cb_params *params_ = cb_params_new(1);
    cb_module *first_ = cb_linear_new(params_, "first", 2, 2, .no_bias = true);
    cb_optimizer *optimizer_;
};

int main() {
    model m(0.5);
    return m.good() ? 0 : 1;
}
