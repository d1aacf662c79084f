/** A list of numbers that is filled and emptied over and over without allocating. */
export class NumberList {
  /** How many numbers the list holds. */
  count = 0;
  #numbers = new Int32Array(8);

  /** Appends a number. */
  push(number: number): void {
    if (this.count === this.#numbers.length) this.#grow();
    this.#numbers[this.count++] = number;
  }

  /** The number at a place below `count`. */
  at(place: number): number {
    return this.#numbers[place] ?? 0;
  }

  #grow(): void {
    const larger = new Int32Array(this.count * 2);
    larger.set(this.#numbers);
    this.#numbers = larger;
  }
}
