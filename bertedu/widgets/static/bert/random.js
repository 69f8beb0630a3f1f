// The random numbers of a torch.Generator on the CPU: the Mersenne Twister, as torch draws from it.
//
// Source: Matsumoto and Nishimura 1998; ATen/core/MT19937RNGEngine.h, DistributionsHelper.h.

const STATE = 624; // words
const AHEAD = 397;

/** torch.Generator().manual_seed(seed), for seeds from 0 to 2^32 - 1. */
export class Generator {
  #state = new Uint32Array(STATE);
  #next = STATE;

  constructor(seed) {
    this.#state[0] = seed;
    for (let i = 1; i < STATE; i++) {
      const before = this.#state[i - 1];
      this.#state[i] = Math.imul(1812433253, before ^ (before >>> 30)) + i;
    }
  }

  #twist() {
    const state = this.#state;
    for (let i = 0; i < STATE; i++) {
      const joined = (state[i] & 0x80000000) | (state[(i + 1) % STATE] & 0x7fffffff);
      state[i] = state[(i + AHEAD) % STATE] ^ (joined >>> 1) ^ (joined & 1 ? 0x9908b0df : 0);
    }
    this.#next = 0;
  }

  /** The next 32 random bits. */
  bits() {
    if (this.#next === STATE) this.#twist();
    let word = this.#state[this.#next++];
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    return (word ^ (word >>> 18)) >>> 0;
  }

  /** torch.rand(count, dtype=torch.float64). */
  rand(count) {
    return Float64Array.from({ length: count }, () => {
      const high = this.bits() & 0x1fffff; // 53 bits of two words
      return (high * 2 ** 32 + this.bits()) / 2 ** 53;
    });
  }

  /** torch.randint(high, (count,)), for a `high` that 28 bits hold. */
  randint(high, count) {
    return Array.from({ length: count }, () => this.bits() % high);
  }
}
