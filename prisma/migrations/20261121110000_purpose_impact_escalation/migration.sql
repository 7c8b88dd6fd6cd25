-- AlterTable
ALTER TABLE "decisions" ADD COLUMN     "groups" TEXT[];

-- AlterTable
ALTER TABLE "requests" ADD COLUMN     "bundle" JSONB,
ADD COLUMN     "escalate_at" TIMESTAMPTZ(3),
ADD COLUMN     "escalated_at" TIMESTAMPTZ(3),
ADD COLUMN     "impact" JSONB,
ADD COLUMN     "purpose" TEXT,
ADD COLUMN     "remind_at" TIMESTAMPTZ(3),
ADD COLUMN     "reminded_at" TIMESTAMPTZ(3);

-- CreateIndex
CREATE INDEX "requests_remind" ON "requests"("remind_at") WHERE (state = 'pending' AND reminded_at IS NULL);

-- CreateIndex
CREATE INDEX "requests_escalate" ON "requests"("escalate_at") WHERE (state = 'pending' AND escalated_at IS NULL);
